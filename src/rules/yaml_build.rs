//! Builds the [`Node`] tree from granit's events, and reports the traps of YAML on the way.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, options};

use super::diagnostic::{Diagnostic, SourceFile};
use super::yaml::{Entry, FILE_BYTES, FILE_NODES, Kind, NESTING, Node, Scalar, Style};
use super::yaml_faults;

/// Comments in a row: more than this many lines of comment are a file of their own.
const COMMENTS: usize = 10_000;
/// Characters of a key: granit's own limit is the 1,024 of the specification.
const KEY_CHARS: usize = 1024;

/// What to do where one document runs into the next.
const NEXT_DOCUMENT: &str = "put a line `---` between two documents";

/// The documents of a file.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Those that could be read, in order.
    pub documents: Vec<Document>,
    /// Whether a document could not be read to its end: what it defines is not known.
    pub incomplete: bool,
}

/// One document.
#[derive(Debug)]
pub struct Document {
    /// Its content.
    pub root: Node,
    /// Its bytes in the file, without the `---` around it.
    pub span: Range<usize>,
}

/// Reads every document of a file; mistakes go to `out`. After a mistake in the syntax the file is
/// read on from the next `---`.
pub fn parse(file: &SourceFile, out: &mut Vec<Diagnostic>) -> Parsed {
    if file.text.len() > FILE_BYTES {
        let message = format!("a file of {} KiB is too large to be rules", file.text.len() / 1024);
        out.push(Diagnostic::error("too-large", &file.name, 0..0, message));
        if let Some(last) = out.last_mut() {
            last.help(format!(
                "at most {} KiB a file: split it, or keep data in records",
                FILE_BYTES / 1024
            ));
        }
        return Parsed { documents: Vec::new(), incomplete: true };
    }
    let mut builder = Builder {
        file,
        out,
        parsed: Parsed::default(),
        stack: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        open_anchors: HashSet::new(),
        nodes: 0,
        plains: BTreeMap::new(),
        comments: Vec::new(),
        document_start: 0,
        last_end: 0,
    };
    builder.run();
    builder.comment_traps();
    builder.parsed
}

/// A node with how much an alias of it adds.
#[derive(Clone)]
struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

struct Frame {
    start: usize,
    anchor: usize,
    nodes: usize,
    depth: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Key> },
}

struct Key {
    text: String,
    span: Range<usize>,
    /// False for a key that is wrong: its value is read and dropped.
    keep: bool,
}

struct Builder<'a> {
    file: &'a SourceFile,
    out: &'a mut Vec<Diagnostic>,
    parsed: Parsed,
    stack: Vec<Frame>,
    root: Option<Node>,
    anchors: HashMap<usize, Anchored>,
    open_anchors: HashSet<usize>,
    nodes: usize,
    /// Plain scalars by their end, for the ` #` trap: start and whether it is a value.
    plains: BTreeMap<usize, usize>,
    comments: Vec<Range<usize>>,
    document_start: usize,
    last_end: usize,
}

impl Builder<'_> {
    fn run(&mut self) {
        let file = self.file;
        let options = options! {
            emit_unresolved_aliases: true,
            disallow_directives: true,
            max_buffered_comment_events: COMMENTS,
            simple_key_max_lookahead: KEY_CHARS,
            // One more, so that our own message about nesting comes first.
            flow_nesting_limit: NESTING + 1,
            block_nesting_limit: NESTING + 1,
        };
        let mut parser = Parser::new_from_str_with_options(&file.text, options);
        while let Some(next) = parser.next_event() {
            match next {
                Ok((event, span)) => {
                    let bytes = span.byte_range().unwrap_or(self.last_end..self.last_end);
                    let tag = span.tag_span().and_then(|tag| tag.byte_range());
                    if !self.event(event, &bytes, tag) {
                        self.parsed.incomplete = true;
                        return;
                    }
                    self.last_end = self.last_end.max(bytes.end);
                }
                Err(error) => {
                    let fault = yaml_faults::explain(self.file, &error, self.last_end);
                    self.out.push(fault);
                    self.parsed.incomplete = true;
                    self.stack.clear();
                    self.root = None;
                    if !parser.proceed_next_document().unwrap_or(false) {
                        return;
                    }
                }
            }
        }
    }

    /// Takes one event; false stops reading the file.
    fn event(&mut self, event: Event<'_>, bytes: &Range<usize>, tag: Option<Range<usize>>) -> bool {
        match event {
            Event::DocumentStart(explicit, _) => {
                self.document_start =
                    if explicit { bytes.end } else { self.last_end.min(bytes.start) };
                self.anchors.clear();
                self.open_anchors.clear();
                true
            }
            Event::DocumentEnd => {
                self.finish(bytes.start);
                true
            }
            Event::Scalar(text, style, anchor, _) => self.scalar(&text, style, anchor, bytes, tag),
            Event::Alias(id) => self.alias(id, bytes),
            Event::UnresolvedAlias(name) => {
                self.out.push(yaml_faults::unknown_alias(self.file, &name, bytes));
                self.add(broken(bytes), 1, 0)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(anchor, bytes, tag, Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(anchor, bytes, tag, Content::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(bytes),
            Event::Comment(..) => {
                self.comments.push(bytes.clone());
                true
            }
            _ => true,
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        bytes: &Range<usize>,
        tag: Option<Range<usize>>,
    ) -> bool {
        if let Some(tag) = tag {
            self.out.push(yaml_faults::tag(self.file, &tag, bytes));
            return self.add(broken(bytes), 1, anchor);
        }
        if style == ScalarStyle::Plain && bytes.is_empty() {
            return self.empty(bytes, anchor);
        }
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        if style == Style::Plain {
            self.plains.insert(bytes.end, bytes.start);
        }
        let kind = Kind::Scalar(Scalar { text: text.to_owned(), style });
        self.add(Node { span: bytes.clone(), kind }, 1, anchor)
    }

    /// Nothing where a value should stand. A whole document of nothing is fine.
    fn empty(&mut self, bytes: &Range<usize>, anchor: usize) -> bool {
        let at = |span: Range<usize>, message: String| {
            Diagnostic::error("empty-value", &self.file.name, span, message)
        };
        if let Some(Content::Map { key: Some(key), .. }) =
            self.stack.last_mut().map(|frame| &mut frame.content)
        {
            let text = &self.file.text;
            let parted = text[..key.span.start].trim_end().ends_with(',')
                && text[key.span.end..].trim_start().starts_with([',', '}']);
            if parted {
                // A piece of the text before it.
                key.keep = false;
                let message =
                    format!("`{}` stands behind a comma, and is a key without a value", key.text);
                let mut cut = at(key.span.clone(), message);
                cut.help("inside `{ }` a comma parts entries: put the whole text before and behind it in quotes");
                self.out.push(cut);
                return self.add(broken(bytes), 1, anchor);
            }
        }
        let found = match self.stack.last().map(|frame| &frame.content) {
            None => None,
            Some(Content::Map { key: Some(key), .. }) => {
                Some(at(key.span.clone(), format!("`{}` has no value", key.text)))
            }
            Some(Content::Map { key: None, .. }) => {
                Some(at(bytes.clone(), "a key is missing before this `:`".to_owned()))
            }
            Some(Content::List(_)) => {
                Some(at(self.dash_before(bytes.start), "this item is empty".to_owned()))
            }
        };
        if let Some(mut found) = found {
            found.help(
                "quote it if you mean empty text: `\"\"`; else give a value or take the line out",
            );
            self.out.push(found);
        }
        self.add(broken(bytes), 1, anchor)
    }

    /// The dash of an item in which nothing but comments stands up to `end`.
    fn dash_before(&self, end: usize) -> Range<usize> {
        let mut before = self.file.text[..end].trim_end();
        for comment in self.comments.iter().rev() {
            if comment.end < before.len() {
                break;
            }
            before = self.file.text[..comment.start.min(before.len())].trim_end();
        }
        let dash = before.char_indices().next_back().map_or(0, |(at, _)| at);
        dash..before.len()
    }

    fn alias(&mut self, id: usize, bytes: &Range<usize>) -> bool {
        if self.open_anchors.contains(&id) {
            let message = "this alias repeats the very thing that it stands in";
            self.out.push(Diagnostic::error("alias", &self.file.name, bytes.clone(), message));
            return self.add(broken(bytes), 1, 0);
        }
        let Some(anchored) = self.anchors.get(&id) else {
            return self.add(broken(bytes), 1, 0);
        };
        if self.stack.len() + anchored.depth > NESTING {
            self.out.push(yaml_faults::nesting(self.file, bytes));
            return false;
        }
        if self.nodes + anchored.nodes > FILE_NODES {
            return self.too_many(bytes);
        }
        let Anchored { node, nodes, depth } = anchored.clone();
        if let Some(frame) = self.stack.last_mut() {
            frame.depth = frame.depth.max(depth + 1);
        }
        self.add(node, nodes, 0)
    }

    fn too_many(&mut self, bytes: &Range<usize>) -> bool {
        let message = format!("this file comes to more than {FILE_NODES} values");
        let mut error = Diagnostic::error("too-large", &self.file.name, bytes.clone(), message);
        error.help("what aliases repeat counts as well: keep data in records, not in rules");
        self.out.push(error);
        false
    }

    fn open(
        &mut self,
        anchor: usize,
        bytes: &Range<usize>,
        tag: Option<Range<usize>>,
        content: Content,
    ) -> bool {
        if let Some(tag) = tag {
            self.out.push(yaml_faults::tag(self.file, &tag, bytes));
        }
        if self.stack.len() >= NESTING {
            self.out.push(yaml_faults::nesting(self.file, bytes));
            return false;
        }
        if anchor != 0 {
            self.open_anchors.insert(anchor);
        }
        self.stack.push(Frame { start: bytes.start, anchor, nodes: 1, depth: 1, content });
        true
    }

    fn close(&mut self, bytes: &Range<usize>) -> bool {
        let Some(frame) = self.stack.pop() else { return true };
        let kind = match frame.content {
            Content::List(items) => Kind::List(items),
            Content::Map { entries, .. } => Kind::Map(entries),
        };
        // A block collection ends with its last child, not where the next token begins.
        let end =
            if bytes.is_empty() { last_byte(&kind).unwrap_or(frame.start) } else { bytes.end };
        let node = Node { span: frame.start..end.max(frame.start), kind };
        if frame.anchor != 0 {
            self.open_anchors.remove(&frame.anchor);
            let anchored = Anchored { node: node.clone(), nodes: frame.nodes, depth: frame.depth };
            self.anchors.insert(frame.anchor, anchored);
        }
        if let Some(parent) = self.stack.last_mut() {
            parent.depth = parent.depth.max(frame.depth + 1);
            parent.nodes += frame.nodes;
        }
        self.place(node);
        true
    }

    /// Adds a node that is complete.
    fn add(&mut self, node: Node, nodes: usize, anchor: usize) -> bool {
        self.nodes += nodes;
        if self.nodes > FILE_NODES {
            return self.too_many(&node.span);
        }
        if let Some(frame) = self.stack.last_mut() {
            frame.nodes += nodes;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, depth: 0 });
        }
        self.place(node);
        true
    }

    /// Puts a node where it belongs: as an item, a key or a value.
    fn place(&mut self, node: Node) {
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, key } => match key.take() {
                Some(Key { text, span, keep }) => {
                    if keep {
                        entries.push(Entry { key: text, key_span: span, value: node });
                    }
                }
                None => *key = Some(key_of(self.file, &node, entries, self.out)),
            },
        }
    }

    fn finish(&mut self, end: usize) {
        self.stack.clear();
        let Some(root) = self.root.take() else { return };
        let blank = root.is_broken() && root.span.is_empty();
        let start = self.document_start.min(end);
        let body = &self.file.text[start..end];
        // Whole blank lines before the content are not part of it.
        let content = body.len() - body.trim_start().len();
        let start = start + body[..content].rfind('\n').map_or(0, |newline| newline + 1);
        let end = start + self.file.text[start..end].trim_end().len();
        if !blank {
            self.parsed.documents.push(Document { root, span: start..end });
        }
    }

    /// A plain scalar followed by ` #`: fine before a comment, a trap if the rest was meant as text.
    fn comment_traps(&mut self) {
        let mut cut = Vec::new();
        for comment in &self.comments {
            let before = self.file.text[..comment.start].trim_end_matches([' ', '\t']);
            let Some(start) = self.plains.get(&before.len()) else { continue };
            let span = *start..before.len();
            let rest = &self.file.text[comment.clone()];
            if let Some(trap) = yaml_faults::cut_off(self.file, &span, rest, comment) {
                self.out.push(trap);
                cut.push(span);
            }
        }
        // What is left of such a text would only lead to more mistakes.
        for document in self.parsed.documents.iter_mut().filter(|_| !cut.is_empty()) {
            break_nodes(&mut document.root, &cut);
        }
    }
}

/// Reads a node as a key; a wrong or repeated one is reported.
fn key_of(file: &SourceFile, node: &Node, entries: &[Entry], out: &mut Vec<Diagnostic>) -> Key {
    let mut key = Key { text: String::new(), span: node.head(), keep: false };
    match &node.kind {
        Kind::Broken => {}
        Kind::Scalar(scalar) => {
            key.text.clone_from(&scalar.text);
            let first = entries.iter().find(|entry| entry.key == key.text);
            if let Some(first) = first {
                let message = format!("`{}` stands here twice", key.text);
                let mut error =
                    Diagnostic::error("duplicate-key", &file.name, key.span.clone(), message);
                error.said("again here").also(&file.name, first.key_span.clone(), "first here");
                // The key that a document begins with begins another one.
                let begins = entries.first().is_some_and(|begin| begin.key == key.text);
                let is_document =
                    file.text[..first.key_span.start].ends_with('\n') || first.key_span.start == 0;
                if begins && is_document {
                    error.help(NEXT_DOCUMENT);
                }
                // What follows in it is there twice because of that.
                let told = |one: &Diagnostic| {
                    one.help.as_deref() == Some(NEXT_DOCUMENT)
                        && one.primary.file == file.name
                        && one.primary.span.start > first.key_span.start
                        && one.primary.span.start < key.span.start
                };
                if !is_document || !out.iter().any(told) {
                    out.push(error);
                }
            } else if key.text == "<<" {
                let message = "merge keys (`<<`) are not part of YAML 1.2";
                let mut error =
                    Diagnostic::error("merge-key", &file.name, key.span.clone(), message);
                error.help("write the keys out");
                out.push(error);
            } else {
                key.keep = true;
            }
        }
        Kind::List(_) | Kind::Map(_) => {
            let message = format!("a key must be text, not {}", node.type_name());
            let mut error = Diagnostic::error("bad-key", &file.name, node.span.clone(), message);
            error.help("quote it if you mean the text as it stands");
            out.push(error);
        }
    }
    key
}

fn break_nodes(node: &mut Node, at: &[Range<usize>]) {
    match &mut node.kind {
        Kind::Scalar(_) if at.contains(&node.span) => node.kind = Kind::Broken,
        Kind::Scalar(_) | Kind::Broken => {}
        Kind::List(items) => items.iter_mut().for_each(|item| break_nodes(item, at)),
        Kind::Map(entries) => {
            for entry in entries {
                break_nodes(&mut entry.value, at);
            }
        }
    }
}

fn broken(bytes: &Range<usize>) -> Node {
    Node { span: bytes.clone(), kind: Kind::Broken }
}

fn last_byte(kind: &Kind) -> Option<usize> {
    match kind {
        Kind::List(items) => items.last().map(|item| item.span.end),
        Kind::Map(entries) => entries.last().map(|entry| entry.value.span.end),
        Kind::Scalar(_) | Kind::Broken => None,
    }
}
