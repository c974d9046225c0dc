//! PHP arrays: their elements, slot by slot, and building them.

use ext_php_rs::ffi::{_Bucket as Bucket, HashTable, zend_string};
use ext_php_rs::flags::DataType;

/// The elements of an array, slot by slot, with names as bytes.
///
/// The array is held by the value that this was made from, with a reference of its own, so PHP separates it before any
/// write.
pub struct Elements<'v> {
    table: &'v HashTable,
}

/// `HASH_FLAG_PACKED` of `zend_hash.h`.
const HASH_FLAG_PACKED: u32 = 1 << 2;

impl<'v> Elements<'v> {
    pub fn of(array: &'v Zval) -> Self {
        // SAFETY: called for values whose type is array.
        let table = unsafe { &*array.value.arr };
        Self { table }
    }

    /// Whether it has numbers for keys, and no buckets.
    pub fn is_packed(&self) -> bool {
        // SAFETY: all views of the flags are plain integers.
        unsafe { self.table.u.flags & HASH_FLAG_PACKED != 0 }
    }

    /// Whether the first key is a number. An empty array is an empty list.
    pub fn is_list(&self) -> bool {
        self.is_packed()
            || (0..self.slots())
                .find(|at| self.slot(*at).is_some())
                .is_none_or(|at| self.key(at).is_none())
    }

    /// How many slots there are, empty ones counted.
    pub fn slots(&self) -> usize {
        self.table.nNumUsed as usize
    }

    fn bucket(&self, at: usize) -> Option<&'v Bucket> {
        if at >= self.slots() {
            return None;
        }
        // SAFETY: a table that is not packed has `nNumUsed` buckets.
        #[cfg(php82)]
        let data = unsafe { self.table.__bindgen_anon_1.arData };
        #[cfg(not(php82))]
        let data = self.table.arData;
        // SAFETY: as above; the table outlives the borrow.
        Some(unsafe { &*data.add(at) })
    }

    /// The value in a slot, unless it is empty.
    pub fn slot(&self, at: usize) -> Option<&'v Zval> {
        #[cfg(php82)]
        if self.is_packed() {
            if at >= self.slots() {
                return None;
            }
            // SAFETY: a packed table has `nNumUsed` values.
            return present(unsafe { &*self.table.__bindgen_anon_1.arPacked.add(at) });
        }
        present(&self.bucket(at)?.val)
    }

    /// The key of a slot, unless it is a number.
    pub fn key(&self, at: usize) -> Option<&'v [u8]> {
        #[cfg(php82)]
        if self.is_packed() {
            return None;
        }
        // SAFETY: a key is a living string, or null for a number.
        unsafe { self.bucket(at)?.key.as_ref() }.map(ext_php_rs::types::ZendStr::as_bytes)
    }

    /// The key of a slot that is not packed, unless it is a number.
    pub fn key_string(&self, at: usize) -> Option<&'v zend_string> {
        // SAFETY: a key is a living string, or null for a number.
        self.bucket(at).and_then(|bucket| unsafe { bucket.key.as_ref() })
    }

    /// The key and the value of a slot that is not packed, unless the key is a number.
    pub fn entry(&self, at: usize) -> Option<(&'v zend_string, &'v Zval)> {
        let bucket = self.bucket(at)?;
        // SAFETY: as above.
        unsafe { bucket.key.as_ref() }.map(|key| (key, &bucket.val))
    }

    /// The key of a slot as a name, also where PHP made a number of it.
    pub fn name(&self, at: usize) -> Vec<u8> {
        match (self.key(at), self.bucket(at)) {
            (Some(name), _) => name.to_vec(),
            (None, Some(bucket)) => bucket.h.cast_signed().to_string().into_bytes(),
            (None, None) => Vec::new(),
        }
    }
}

/// An element, unless its slot is empty; an object's declared property stands elsewhere.
fn present(value: &Zval) -> Option<&Zval> {
    match value.get_type() {
        DataType::Undef => None,
        DataType::Indirect => value.indirect().filter(|value| value.get_type() != DataType::Undef),
        _ => Some(value),
    }
}

use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::{ZendHashTable, Zval};

/// Builds an associative array. Its keys are ours or column names; a numeric one becomes an int, as in PHP.
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
