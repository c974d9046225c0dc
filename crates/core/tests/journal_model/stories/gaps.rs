//! Segments go in the middle of a folder, before whoever owns it dies.

use super::{House, add};

/// A server was away for long, and is back: many segments are given up at once, two of them are
/// kept to be used again, and the one that is open follows on a gap.
#[test]
fn what_was_given_up_at_once_holds_nobody_up() {
    for left in [0, 3] {
        let mut house = House::new();
        let buffer = house.buffer();
        let hold = buffer.hold();
        for number in 0..600 {
            add(&buffer, number);
        }
        drop(hold);
        buffer.flush(None, &|| false).expect("written");
        let hold = buffer.hold();
        for number in 600..600 + left {
            add(&buffer, number);
        }
        house.kill(buffer);
        std::mem::forget(hold);
        let recovered = house.recover();
        let errors: Vec<_> = recovered
            .iter()
            .filter_map(|recovered| recovered.error.as_ref())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(house.folders(), [""; 0], "{recovered:?}");
        assert_eq!(house.rows(), (0..600 + left).collect::<Vec<_>>());
    }
}
