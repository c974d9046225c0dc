//! What the engine notes in a journal between the groups: the few facts that neither the groups nor
//! the ledger's position say. Pure.
//!
//! A note is written before whatever would be wrong without it: see [`super::history`], which reads
//! them.
//!
//! Invariant: what [`Note::encode`] wrote, [`Note::decode`] reads back; no bytes make it panic.

/// A fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A lane is about to make its row in the ledger: from now on a row that is missing was lost.
    Registering {
        /// The lane.
        lane: u8,
    },
    /// These groups have left their lanes, and wait for a table: no lane's position covers them.
    Parked(Vec<u64>),
    /// A transaction of a lane is about to commit groups that no position covers.
    Flight {
        /// The lane.
        lane: u8,
        /// The transaction's number in the ledger.
        transaction: u64,
        /// The groups.
        groups: Vec<u64>,
    },
    /// These groups are committed for certain, or kept as failures.
    Settled(Vec<u64>),
    /// All groups up to a number are settled, and all records up to an ordinal may be gone.
    SettledThrough {
        /// The number.
        number: u64,
        /// The ordinal.
        ordinal: u64,
        /// The lanes that have [`Note::Registering`] among what may be gone, as bits.
        registered: u64,
    },
    /// A successor has taken the writer over. It found this in the row of the first lane, and goes
    /// on there for all lanes.
    TakenOver {
        /// The number of the last transaction, if there was a row.
        transaction: Option<u64>,
        /// The position, as it stood there.
        position: Option<String>,
    },
}

const REGISTERING: u8 = 1;
const PARKED: u8 = 2;
const FLIGHT: u8 = 3;
const SETTLED: u8 = 4;
const SETTLED_THROUGH: u8 = 5;
const TAKEN_OVER: u8 = 6;

impl Note {
    /// The note's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Registering { lane } => bytes.extend([REGISTERING, *lane]),
            Self::Parked(groups) => {
                bytes.push(PARKED);
                push_numbers(&mut bytes, groups);
            }
            Self::Flight {
                lane,
                transaction,
                groups,
            } => {
                bytes.extend([FLIGHT, *lane]);
                push(&mut bytes, *transaction);
                push_numbers(&mut bytes, groups);
            }
            Self::Settled(groups) => {
                bytes.push(SETTLED);
                push_numbers(&mut bytes, groups);
            }
            Self::SettledThrough {
                number,
                ordinal,
                registered,
            } => {
                bytes.push(SETTLED_THROUGH);
                for number in [number, ordinal, registered] {
                    push(&mut bytes, *number);
                }
            }
            Self::TakenOver { transaction, position } => {
                bytes.extend([
                    TAKEN_OVER,
                    u8::from(transaction.is_some()),
                    u8::from(position.is_some()),
                ]);
                push(&mut bytes, transaction.unwrap_or_default());
                bytes.extend_from_slice(position.as_deref().unwrap_or_default().as_bytes());
            }
        }
        bytes
    }

    /// Reads a note. `None`: the bytes are none, or a later version's.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let mut rest = Reader(rest);
        let note = match *kind {
            REGISTERING => Self::Registering { lane: rest.byte()? },
            PARKED => Self::Parked(rest.numbers()?),
            FLIGHT => Self::Flight {
                lane: rest.byte()?,
                transaction: rest.number()?,
                groups: rest.numbers()?,
            },
            SETTLED => Self::Settled(rest.numbers()?),
            SETTLED_THROUGH => Self::SettledThrough {
                number: rest.number()?,
                ordinal: rest.number()?,
                registered: rest.number()?,
            },
            TAKEN_OVER => {
                let (has_row, has_position) = (rest.flag()?, rest.flag()?);
                let transaction = rest.number()?;
                let position = String::from_utf8(std::mem::take(&mut rest.0).to_vec()).ok()?;
                Self::TakenOver {
                    transaction: has_row.then_some(transaction),
                    position: has_position.then_some(position),
                }
            }
            _ => return None,
        };
        rest.0.is_empty().then_some(note)
    }
}

/// A number in 7 bits a byte, the lowest first.
fn push(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// Numbers, as how many there are, and the step to each. Steps wrap, so any order is kept.
fn push_numbers(bytes: &mut Vec<u8>, numbers: &[u64]) {
    push(bytes, numbers.len() as u64);
    let mut last = 0_u64;
    for number in numbers {
        push(bytes, number.wrapping_sub(last));
        last = *number;
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            let shifted = part << shift;
            if shifted >> shift != part {
                return None;
            }
            number |= shifted;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn numbers(&mut self) -> Option<Vec<u64>> {
        let count = usize::try_from(self.number()?).ok()?;
        // A number takes a byte at least: no length is believed.
        let mut numbers = Vec::with_capacity(count.min(self.0.len()));
        let mut last = 0_u64;
        for _ in 0..count {
            last = last.wrapping_add(self.number()?);
            numbers.push(last);
        }
        Some(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_note() -> impl Strategy<Value = Note> {
        let numbers = || prop::collection::vec(any::<u64>(), 0..20);
        prop_oneof![
            any::<u8>().prop_map(|lane| Note::Registering { lane }),
            numbers().prop_map(Note::Parked),
            (any::<u8>(), any::<u64>(), numbers()).prop_map(|(lane, transaction, groups)| Note::Flight {
                lane,
                transaction,
                groups
            }),
            numbers().prop_map(Note::Settled),
            any::<[u64; 3]>().prop_map(|[number, ordinal, registered]| Note::SettledThrough {
                number,
                ordinal,
                registered
            }),
            (any::<Option<u64>>(), any::<Option<u32>>()).prop_map(|(transaction, position)| Note::TakenOver {
                transaction,
                position: position.map(|position| position.to_string()),
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read_back(note in any_note()) {
            prop_assert_eq!(Note::decode(&note.encode()), Some(note));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(note) = Note::decode(&bytes) {
                prop_assert_eq!(Note::decode(&note.encode()), Some(note));
            }
        }

        #[test]
        fn what_is_cut_is_no_note(note in any_note(), at in any::<prop::sample::Index>()) {
            let bytes = note.encode();
            let cut = &bytes[..at.index(bytes.len())];
            // A position is text up to the end.
            if !matches!(note, Note::TakenOver { .. }) {
                prop_assert_eq!(Note::decode(cut), None);
            }
        }
    }
}
