//! Arrays: reading their elements, and building them.
//!
//! An array is a row of buckets, each with a value and with a key, which is a name or a number.
//! Since PHP 8.2 it may be packed: a row of values, whose keys are their places. A slot is empty
//! once its element was unset.

use ext_php_rs::boxed::ZBox;
use ext_php_rs::ffi::{self, _Bucket as Bucket, HashTable, zend_string};
use ext_php_rs::flags::DataType;
use ext_php_rs::types::{ZendHashTable, Zval};

/// An array, with a reference of its own: PHP separates the array before any write.
pub struct HeldArray(Zval);

impl HeldArray {
    /// The array that a value is.
    pub fn of(value: &Zval) -> Option<Self> {
        value.is_array().then(|| Self(value.shallow_clone()))
    }

    /// A copy of a table.
    pub fn copy_of(table: *mut HashTable) -> Self {
        let mut copy = Zval::new();
        // SAFETY: the table is alive; the duplicate is a fresh array that the value takes over.
        copy.value.arr = unsafe { ffi::zend_array_dup(table) };
        copy.u1.type_info = ffi::IS_ARRAY_EX;
        Self(copy)
    }

    /// Its elements.
    pub fn elements(&self) -> Elements<'_> {
        // SAFETY: the value is an array.
        Elements::of(unsafe { &*self.0.value.arr })
    }
}

/// The elements of an array that is held.
#[derive(Clone, Copy)]
pub enum Elements<'v> {
    /// Slots with keys.
    Buckets(&'v [Bucket]),
    /// Slots without.
    #[cfg(php82)]
    Packed(&'v [Zval]),
}

impl<'v> Elements<'v> {
    fn of(table: &'v HashTable) -> Self {
        let slots = table.nNumUsed as usize;
        #[cfg(php82)]
        {
            /// `HASH_FLAG_PACKED` of `zend_hash.h`.
            const HASH_FLAG_PACKED: u32 = 1 << 2;
            // SAFETY: all views of the flags are plain integers. They say which pointer is valid;
            // it is never null, and leads to as many slots as are used.
            unsafe {
                if table.u.flags & HASH_FLAG_PACKED != 0 {
                    Self::Packed(std::slice::from_raw_parts(table.__bindgen_anon_1.arPacked, slots))
                } else {
                    Self::Buckets(std::slice::from_raw_parts(table.__bindgen_anon_1.arData, slots))
                }
            }
        }
        // SAFETY: the pointer is never null, and leads to as many slots as are used.
        #[cfg(not(php82))]
        Self::Buckets(unsafe { std::slice::from_raw_parts(table.arData, slots) })
    }

    /// The buckets. `None`: it is packed.
    pub fn buckets(self) -> Option<&'v [Bucket]> {
        match self {
            Self::Buckets(buckets) => Some(buckets),
            #[cfg(php82)]
            Self::Packed(_) => None,
        }
    }

    /// Whether the first key is a number. An empty array is an empty list.
    pub fn is_list(self) -> bool {
        let first = self.buckets().and_then(|buckets| present(buckets).next());
        first.is_none_or(|bucket| key_of(bucket).is_none())
    }

    /// The values, in order.
    pub fn values(self) -> impl Iterator<Item = &'v Zval> {
        let (buckets, packed) = match self {
            Self::Buckets(buckets) => (buckets, &[][..]),
            #[cfg(php82)]
            Self::Packed(values) => (&[][..], values),
        };
        let in_buckets = buckets.iter().map(|bucket| &bucket.val);
        in_buckets.chain(packed).filter_map(direct)
    }

    /// The keys, in order, as names.
    pub fn names(self) -> Vec<Vec<u8>> {
        match self {
            Self::Buckets(buckets) => present(buckets)
                .map(|bucket| match key_of(bucket) {
                    Some(name) => name.as_bytes().to_vec(),
                    None => bucket.h.cast_signed().to_string().into_bytes(),
                })
                .collect(),
            #[cfg(php82)]
            Self::Packed(values) => (0..values.len())
                .filter(|at| values.get(*at).and_then(direct).is_some())
                .map(|at| at.to_string().into_bytes())
                .collect(),
        }
    }
}

/// The buckets that are not empty.
pub fn present(buckets: &[Bucket]) -> impl Iterator<Item = &Bucket> + Clone {
    buckets.iter().filter(|bucket| direct(&bucket.val).is_some())
}

/// The key of a bucket, unless it is a number.
pub fn key_of(bucket: &Bucket) -> Option<&zend_string> {
    // Before PHP 8.2 the key of an element that was unset is still there, but no longer alive.
    #[cfg(not(php82))]
    if bucket.val.get_type() == DataType::Undef {
        return None;
    }
    // SAFETY: the key is a living string, or null for a number.
    unsafe { bucket.key.as_ref() }
}

/// The value in a slot, unless the slot is empty. An object's declared property stands elsewhere.
fn direct(value: &Zval) -> Option<&Zval> {
    match value.get_type() {
        DataType::Undef => None,
        DataType::Indirect => value.indirect().filter(|value| value.get_type() != DataType::Undef),
        _ => Some(value),
    }
}

/// Builds an associative array. A key that is a number becomes an int, as in PHP.
pub struct ArrayBuilder {
    table: ZBox<ZendHashTable>,
}

impl ArrayBuilder {
    /// An empty array.
    pub fn new() -> Self {
        let table = ZendHashTable::new();
        Self { table }
    }

    /// Sets an element.
    #[must_use]
    pub fn with(mut self, key: &str, value: Zval) -> Self {
        self.set(key, value);
        self
    }

    /// Sets an element.
    pub fn set(&mut self, key: &str, value: Zval) {
        // A key comes from a column name, which has no NUL byte, or is ours.
        let inserted = self.table.insert(key, value);
        debug_assert!(inserted.is_ok(), "{key}");
    }

    /// Adds an element at the end.
    pub fn push(&mut self, value: Zval) {
        let pushed = self.table.push(value);
        debug_assert!(pushed.is_ok());
    }

    /// The array as a value.
    pub fn build(self) -> Zval {
        let mut value = Zval::new();
        value.set_hashtable(self.table);
        value
    }
}
