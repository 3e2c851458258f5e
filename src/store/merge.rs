//! Reading a range through changes that the store below does not have yet.

use std::iter::Peekable;

use super::contract::{Change, StoreError, Visit};

/// Visits the rows of a range as layers of changes and the store below them have them, in key order.
/// Each layer gives its changes of that range in key order, the newest layer comes first, and `below`
/// visits the rows of the store.
///
/// # Errors
/// What `below` fails with.
pub(super) fn walk<'a, const N: usize, C: Iterator<Item = Change<'a>>>(
    newest_first: [C; N],
    below: impl FnOnce(&mut Visit<'_>) -> Result<(), StoreError>,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let mut layers = newest_first.map(Iterator::peekable);
    let mut more = true;
    below(&mut |key, value| {
        let mut hidden = false;
        while more && let Some((changed, newest)) = next(&mut layers, Some(key)) {
            hidden |= changed == key;
            more = newest.is_none_or(|newest| visit(changed, newest));
        }
        more = more && (hidden || visit(key, value));
        more
    })?;
    while more && let Some((key, newest)) = next(&mut layers, None) {
        more = newest.is_none_or(|newest| visit(key, newest));
    }
    Ok(())
}

/// The next key that a layer knows, if it is not above `end`, and what the newest layer says of it.
fn next<'a, C: Iterator<Item = Change<'a>>>(
    layers: &mut [Peekable<C>],
    end: Option<&[u8]>,
) -> Option<Change<'a>> {
    let key = layers.iter_mut().filter_map(|layer| Some(layer.peek()?.0)).min()?;
    if end.is_some_and(|end| key > end) {
        return None;
    }
    let mut newest = None;
    for layer in layers.iter_mut().rev() {
        newest = layer.next_if(|row| row.0 == key).or(newest);
    }
    newest
}
