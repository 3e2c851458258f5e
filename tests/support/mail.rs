//! Reading a mail as it went over the wire: headers unfolded, and nothing more clever than that.

/// A mail's bytes.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    /// As received, lines ending in CR LF, dots unstuffed.
    pub(crate) raw: String,
}

impl Mail {
    /// From its bytes; what is not UTF-8 is replaced.
    pub(crate) fn new(raw: &[u8]) -> Self {
        Self { raw: String::from_utf8_lossy(raw).into_owned() }
    }

    /// Every header, unfolded, in order.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in self.raw.lines().take_while(|line| !line.is_empty()) {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = headers.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
        }
        headers
    }

    /// The first header of this name, whatever its case.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers()
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The `Message-ID`, in its angle brackets.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn message_id(&self) -> String {
        self.header("Message-ID").expect("every mail has a Message-ID")
    }

    /// What follows the headers, still encoded.
    pub(crate) fn body(&self) -> &str {
        let end = self.raw.find("\r\n\r\n").map(|at| at + 4);
        end.or_else(|| self.raw.find("\n\n").map(|at| at + 2)).map_or("", |at| &self.raw[at..])
    }
}
