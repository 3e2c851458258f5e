//! Every function that expressions and plugins may call, with its signature and one line of help.

/// A function of ours, or one of Rhai's that we stand for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Builtin {
    /// `name(first, second[, third])`.
    pub(crate) signature: &'static str,
    /// What it gives.
    pub(crate) doc: &'static str,
    /// Changes its first argument, or calls a function value: only in plugins, on their own variables.
    pub(crate) plugin_only: bool,
}

impl Builtin {
    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.signature.split('(').next().unwrap_or("")
    }

    /// The names of its parameters, the optional ones with a `?`.
    pub(crate) fn params(&self) -> Vec<String> {
        let inside =
            self.signature.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
        let mut optional = false;
        let mut params = Vec::new();
        for part in inside.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let name = part.trim_matches(|c| c == '[' || c == ']' || c == ' ');
            optional |= part.starts_with('[');
            params.push(if optional { format!("{name}?") } else { name.to_owned() });
            optional |= part.ends_with('[');
        }
        params
    }

    /// How many arguments it takes: at least, at most.
    pub(crate) fn arity(&self) -> (usize, usize) {
        let params = self.params();
        (params.iter().filter(|param| !param.ends_with('?')).count(), params.len())
    }
}

/// All of them. A name may come more than once, with other numbers of arguments.
pub(crate) fn builtins() -> impl Iterator<Item = Builtin> {
    let entry = |plugin_only| {
        move |&(signature, doc): &(&'static str, &'static str)| Builtin {
            signature,
            doc,
            plugin_only,
        }
    };
    PURE.iter().map(entry(false)).chain(PLUGIN_ONLY.iter().map(entry(true)))
}

/// Whether `name` is a function that leaves its arguments as they are.
pub(crate) fn is_read_only(name: &str) -> bool {
    let named = |&(signature, _): &(&str, &str)| signature.split('(').next() == Some(name);
    PURE.iter().any(named)
}

/// What other languages call functions that we have.
pub(crate) const ALIASES: [(&str, &str); 23] = [
    ("type_of", "kind_of"),
    ("typeof", "kind_of"),
    ("lower", "to_lower"),
    ("lowercase", "to_lower"),
    ("toLowerCase", "to_lower"),
    ("upper", "to_upper"),
    ("uppercase", "to_upper"),
    ("toUpperCase", "to_upper"),
    ("length", "len"),
    ("size", "len"),
    ("count", "len"),
    ("includes", "contains"),
    ("has", "contains"),
    ("any", "some"),
    ("every", "all"),
    ("strip", "trim"),
    ("now", "now"),
    ("sort", "sorted"),
    ("substring", "sub_string"),
    ("int", "to_int"),
    ("float", "to_float"),
    ("str", "to_string"),
    ("ceil", "ceiling"),
];

/// Functions of the language that this version does not have yet.
pub(crate) const LATER: [&str; 1] = ["board"];

const PURE: &[(&str, &str)] = &[
    // Records and the run.
    ("record(address)", "the record, or () if there is none"),
    ("record(kind, id)", "the record, or () if there is none"),
    ("records(kind)", "all records of a kind, at most 1,000"),
    (
        "records(kind, index, value)",
        "the records whose indexed field has this value, at most 1,000",
    ),
    ("ledger(kind)", "how many entries a ledger has, and its head: `count` and `head`"),
    (
        "metric(name, since)",
        "what a metric counted from that day on (of UTC), over all labels or of one series; or what it measures",
    ),
    (
        "suppressed(address, purpose)",
        "whether no mail of this purpose goes to that address any more",
    ),
    ("secret(name)", "a secret, only where a webhook or an action sends it"),
    ("bucket(experiment, subject)", "0 to 9999, always the same for the same two"),
    // Time.
    ("time(text)", "the instant that an RFC 3339 text with an offset names"),
    ("span(text)", "an elapsed span of time, such as \"90s\", \"5m\", \"14d\""),
    (
        "open_after(instant, duration, calendar)",
        "when a duration such as \"4bh\" ends that begins then, by a calendar",
    ),
    ("to_seconds(span)", "the seconds of a span"),
    ("date(instant[, zone])", "the calendar date in a zone (UTC), as \"2026-03-02\""),
    ("format(instant, pattern[, zone])", "an instant as strftime prints it, \"%d.%m.%Y\""),
    ("weekday(instant[, zone])", "\"mon\" to \"sun\""),
    ("hour(instant[, zone])", "0 to 23"),
    ("minute(instant[, zone])", "0 to 59"),
    ("day(instant[, zone])", "the day of the month, from 1"),
    ("month(instant[, zone])", "1 to 12"),
    ("year(instant[, zone])", "the year"),
    // Texts.
    ("len(x)", "characters of a text, elements of a list, members of an object"),
    ("is_empty(x)", "whether a text, list or object has nothing in it"),
    ("to_lower(text)", "in lower case"),
    ("to_upper(text)", "in upper case"),
    ("trim(text)", "without blanks at both ends"),
    ("contains(x, part)", "whether a text, list or object has this part, element or member"),
    ("starts_with(text, part)", "whether a text begins with another"),
    ("ends_with(text, part)", "whether a text ends with another"),
    ("split(text[, by])", "the parts of a text, at blanks or at `by`"),
    ("replace(text, old, new)", "with every `old` replaced by `new`"),
    ("sub_string(text, start[, len])", "a part of a text, counted in characters from 0"),
    ("index_of(x, part)", "where a part first stands, -1 if nowhere"),
    ("to_string(x)", "as text"),
    ("to_int(x)", "a whole number from a number (cut) or a text"),
    ("to_float(x)", "a number from a number or a text"),
    ("json(x)", "as JSON text"),
    ("domain(email)", "what follows the @, in lower case; () if there is none"),
    // Lists and objects.
    ("get(x, key)", "a member of an object or element of a list, () if missing"),
    ("keys(object)", "the names of its members"),
    ("values(object)", "the values of its members"),
    ("map(list, f)", "f of each element"),
    ("filter(list, f)", "the elements for which f is true"),
    ("find(list, f)", "the first element for which f is true, or ()"),
    ("some(list, f)", "whether f is true for some element"),
    ("all(list, f)", "whether f is true for every element"),
    ("reduce(list, f[, initial])", "f(result, element) over all elements"),
    ("sorted(list[, key])", "in ascending order, of key(element) if given"),
    ("sum(list)", "the sum of numbers or spans"),
    ("first(list)", "the first element, or ()"),
    ("last(list)", "the last element, or ()"),
    ("join(list, separator)", "the elements as one text"),
    ("extract(list, start[, len])", "a part of a list"),
    // Numbers and logic.
    ("not(x)", "true if false"),
    (
        "kind_of(x)",
        "\"nothing\", \"boolean\", \"number\", \"text\", \"list\", \"object\", \"instant\" or \"span\"",
    ),
    ("abs(number)", "without its sign"),
    ("min(a, b)", "the lesser"),
    ("max(a, b)", "the greater"),
    ("floor(number)", "the whole number below"),
    ("ceiling(number)", "the whole number above"),
    ("round(number[, digits])", "rounded, half away from zero"),
];

const PLUGIN_ONLY: &[(&str, &str)] = &[
    ("push(list, x)", "adds an element"),
    ("append(list, more)", "adds all elements of another list"),
    ("insert(list, at, x)", "puts an element in"),
    ("pop(list)", "takes the last element"),
    ("shift(list)", "takes the first element"),
    ("remove(x, key)", "takes an element or a member"),
    ("clear(x)", "takes everything"),
    ("truncate(x, len)", "cuts off the end"),
    ("reverse(list)", "turns it round"),
    ("dedup(list)", "drops neighbours that are equal"),
    ("retain(x, f)", "keeps what f is true for"),
    ("set(x, key, value)", "sets an element or a member"),
    ("mixin(object, more)", "takes over all members of another"),
    ("call(f[, a, b, c, d])", "calls a function value"),
    ("range(from, to[, step])", "numbers to loop over"),
    ("print(x)", "writes to the log"),
    (
        "settings()",
        "what the configuration sets for this plugin, with the defaults of its manifest",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arities_are_read_from_signatures() {
        let of = |signature| Builtin { signature, doc: "", plugin_only: false }.arity();
        assert_eq!(of("f()"), (0, 0));
        assert_eq!(of("f(a, b)"), (2, 2));
        assert_eq!(of("f(a[, b])"), (1, 2));
        assert_eq!(of("f(a[, b, c])"), (1, 3));
    }

    #[test]
    fn everything_in_the_catalog_exists() {
        let mut engine = super::super::super::sandbox::engine();
        super::super::register_for(&mut engine, None);
        let have: Vec<(String, usize)> = engine.collect_fn_metadata(
            None,
            |info| {
                Some((
                    super::super::plain(&info.metadata.name).to_owned(),
                    info.metadata.num_params,
                ))
            },
            true,
        );
        for builtin in builtins().filter(|builtin| builtin.name() != "call") {
            let (least, most) = builtin.arity();
            for count in least..=most {
                let found = have.iter().any(|(name, n)| name == builtin.name() && *n == count);
                assert!(found, "{} with {count} arguments", builtin.signature);
            }
        }
        for (_, name) in ALIASES.iter().filter(|(_, name)| *name != "now") {
            assert!(builtins().any(|builtin| builtin.name() == *name), "{name}");
        }
    }
}
