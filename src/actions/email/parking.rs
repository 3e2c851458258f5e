//! Connections between two mails. The newest is taken first, and one that was idle for a whole
//! round is given out to be closed.

use crate::model::limits;

/// At most `limits::LANE_MAIL` parked things, as no more are ever in use.
pub(crate) struct Parking<T> {
    /// Each with whether it was already here when the round began.
    parked: Vec<(T, bool)>,
    swept: bool,
}

impl<T> Default for Parking<T> {
    fn default() -> Self {
        Self { parked: Vec::new(), swept: false }
    }
}

impl<T> Parking<T> {
    /// Parks one; whether rounds must be started, as nobody makes them.
    pub(crate) fn put(&mut self, one: T) -> bool {
        if self.parked.len() < limits::LANE_MAIL {
            self.parked.push((one, false));
        }
        !std::mem::replace(&mut self.swept, true)
    }

    /// The one that was parked last.
    pub(crate) fn take(&mut self) -> Option<T> {
        self.parked.pop().map(|(one, _)| one)
    }

    /// Ends a round: those that were idle all through it, and whether there must be another.
    pub(crate) fn round(&mut self) -> (Vec<T>, bool) {
        let all = std::mem::take(&mut self.parked);
        let (idle, fresh): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, here)| *here);
        self.parked = fresh.into_iter().map(|(one, _)| (one, true)).collect();
        self.swept = !self.parked.is_empty();
        (idle.into_iter().map(|(one, _)| one).collect(), self.swept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_idle_for_a_round_is_given_out() {
        let mut parking = Parking::default();
        assert!(parking.put(1));
        assert!(!parking.put(2));
        assert_eq!(parking.round(), (vec![], true));
        assert_eq!(parking.take(), Some(2));
        assert!(!parking.put(2));
        assert_eq!(parking.round(), (vec![1], true));
        assert_eq!(parking.round(), (vec![2], false));
        assert!(parking.put(3), "rounds start again");
    }

    #[test]
    fn no_more_are_parked_than_are_used_at_once() {
        let mut parking = Parking::default();
        let starts = (0..100).filter(|one| parking.put(*one)).count();
        assert_eq!(starts, 1);
        assert_eq!(std::iter::from_fn(|| parking.take()).count(), limits::LANE_MAIL);
    }
}
