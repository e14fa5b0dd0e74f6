//! The lanes in which reviews are answered: what one of them uses up, no other misses. All their shares follow from the table here.

use super::Interface;

/// What has threads, instances, memory and bodies of its own. In the order of their weight: what comes first must never wait for what comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Who somebody is.
    Authentication,
    /// What they may do.
    Authorization,
    /// Whether an object may enter, and how it is changed.
    Admission,
    /// Whatever else is asked, of providers.
    Events,
    /// What objects would be told that are there already: nobody waits for it.
    Audit,
}

/// What one lane has.
struct Shares {
    name: &'static str,
    /// Of [`WHOLE`]: instances, and the memory of guests.
    instances: usize,
    /// Of [`WHOLE`]: what requests in flight hold.
    bodies: usize,
    /// How its threads stand behind others, as for nice(1): where processors are few, those who come first go first. Little, since other processes
    /// of the machine may count as well.
    nice: i32,
}

impl Lane {
    /// All there are, in their order.
    pub const ALL: [Self; 5] = [Self::Authentication, Self::Authorization, Self::Admission, Self::Events, Self::Audit];

    const fn shares(self) -> Shares {
        let (name, instances, bodies, nice) = match self {
            Self::Authentication => ("authentication", 2, 1, 0),
            Self::Authorization => ("authorization", 2, 1, 0),
            Self::Admission => ("admission", 9, 11, 1),
            Self::Events => ("events", 2, 1, 2),
            Self::Audit => ("audit", 1, 2, 4),
        };
        Shares { name, instances, bodies, nice }
    }

    /// In which a review of this interface is answered, unless it is an audit.
    pub fn of(interface: Interface) -> Self {
        match interface {
            Interface::Authentication => Self::Authentication,
            Interface::Authorization => Self::Authorization,
            Interface::Validating | Interface::Mutating => Self::Admission,
            Interface::Provider | Interface::Changes => Self::Events,
        }
    }

    /// The value of the metric label `lane`, and the name of its threads.
    pub fn name(self) -> &'static str {
        self.shares().name
    }

    /// Its sixteenths of all instances, and of the memory of guests.
    pub fn instances(self) -> usize {
        self.shares().instances
    }

    /// Its sixteenths of what requests in flight may hold.
    pub fn bodies(self) -> usize {
        self.shares().bodies
    }

    /// How its threads stand behind others: 0 not at all, 19 furthest.
    pub fn nice(self) -> i32 {
        self.shares().nice
    }

    /// Whether it is part of what the cluster cannot do without: logins.
    pub fn is_identity(self) -> bool {
        self <= Self::Authorization
    }
}

/// What all shares of one thing come to.
pub const WHOLE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_come_to_the_whole_and_the_order_is_that_of_weight() {
        assert_eq!(Lane::ALL.map(Lane::instances).iter().sum::<usize>(), WHOLE);
        assert_eq!(Lane::ALL.map(Lane::bodies).iter().sum::<usize>(), WHOLE);
        assert!(Lane::ALL.is_sorted_by_key(|it| it.nice()) && Lane::ALL.is_sorted());
        assert_eq!(Lane::ALL.map(Lane::is_identity), [true, true, false, false, false]);
    }
}
