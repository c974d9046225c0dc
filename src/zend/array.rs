//! Arrays: reading their elements, and building them.
//!
//! An array is a hash, whose slots have a value and a key, which is a name or a number. Or it is
//! packed: its keys are the places of its slots. A slot is empty once its element was unset.
//!
//! Invariant: elements are reached through [`HeldArray`], which has a reference of its own, so that
//! PHP separates the array before any write; or within [`HeldArray::peek`], which runs no PHP code.
//! A reference in a slot is a variable: its value may be another one after PHP code ran.

use std::borrow::Cow;

use ext_php_rs::boxed::ZBox;
use ext_php_rs::ffi::{self, _Bucket as Bucket, HashTable, zend_string};
use ext_php_rs::flags::DataType;
use ext_php_rs::types::{ZendHashTable, Zval};

use crate::zend::values::Held;

/// An array, with a reference of its own.
pub struct HeldArray(Held);

impl HeldArray {
    /// The array that is in a variable now.
    pub fn of(variable: &Zval) -> Option<Self> {
        let value = variable.dereference();
        value.is_array().then(|| Self(Held::of(value)))
    }

    /// The array that a call returned, perhaps by reference. An error if it returned another value.
    pub fn of_result(result: Held) -> Result<Self, Held> {
        if result.is_array() {
            return Ok(Self(result));
        }
        Self::of(&result).ok_or(result)
    }

    /// A copy of a table, which is alive.
    pub fn copy_of(table: *mut HashTable) -> Self {
        let mut copy = Zval::new();
        // SAFETY: the table is alive; the duplicate is a fresh array that the value takes over.
        copy.value.arr = unsafe { ffi::zend_array_dup(table) };
        copy.u1.type_info = ffi::IS_ARRAY_EX;
        Self(Held::new(copy))
    }

    /// Its elements.
    pub fn elements(&self) -> Elements<'_> {
        // SAFETY: the value is an array.
        Elements::of(unsafe { &*self.0.value.arr })
    }

    /// Reads the array that is in a variable now, in a step that runs no PHP code: whoever holds
    /// the variable holds the array as long. `None`: it is no array.
    #[inline]
    pub fn peek<R>(variable: &Zval, step: impl FnOnce(Elements<'_>) -> R) -> Option<R> {
        let value = variable.dereference();
        // SAFETY: the type says which view is valid.
        value
            .is_array()
            .then(|| step(Elements::of(unsafe { &*value.value.arr })))
    }
}

/// The elements of an array.
#[derive(Clone, Copy)]
pub enum Elements<'v> {
    /// Slots with keys.
    Hash(&'v [Bucket]),
    /// Slots without.
    Packed(&'v [PackedSlot]),
}

/// A slot of a packed array.
#[cfg(php82)]
type PackedSlot = Zval;
/// A slot of a packed array, whose key is not used.
#[cfg(not(php82))]
type PackedSlot = Bucket;

/// The key of an element.
#[derive(Clone, Copy)]
pub enum Key<'v> {
    /// A name, of any bytes.
    Name(&'v [u8]),
    /// A number. PHP makes one of a name such as "5".
    Number(i64),
}

impl<'v> Key<'v> {
    /// The name, as it was before PHP made a number of it.
    pub fn bytes(self) -> Cow<'v, [u8]> {
        match self {
            Self::Name(name) => Cow::Borrowed(name),
            Self::Number(number) => Cow::Owned(number.to_string().into_bytes()),
        }
    }
}

impl<'v> Elements<'v> {
    #[inline]
    fn of(table: &'v HashTable) -> Self {
        /// `HASH_FLAG_PACKED` of `zend_hash.h`.
        const HASH_FLAG_PACKED: u32 = 1 << 2;
        let slots = table.nNumUsed as usize;
        // SAFETY: all views of the flags are plain integers. They say which pointer is valid; it is
        // never null, and leads to as many slots as are used.
        unsafe {
            let is_packed = table.u.flags & HASH_FLAG_PACKED != 0;
            #[cfg(php82)]
            let (buckets, packed) = (table.__bindgen_anon_1.arData, table.__bindgen_anon_1.arPacked);
            #[cfg(not(php82))]
            let (buckets, packed) = (table.arData, table.arData);
            if is_packed {
                Self::Packed(std::slice::from_raw_parts(packed, slots))
            } else {
                Self::Hash(std::slice::from_raw_parts(buckets, slots))
            }
        }
    }

    /// The slots of a hash. `None`: the array is packed.
    pub fn buckets(self) -> Option<&'v [Bucket]> {
        match self {
            Self::Hash(buckets) => Some(buckets),
            Self::Packed(_) => None,
        }
    }

    /// Whether the first key is a number. An empty array is an empty list.
    pub fn is_list(self) -> bool {
        self.entries()
            .next()
            .is_none_or(|(key, _)| matches!(key, Key::Number(_)))
    }

    /// Whether it is not empty, and its keys are the numbers from 0, as those of a list.
    pub fn is_proper_list(self) -> bool {
        let mut keys = self.entries().map(|(key, _)| key).zip(0..).peekable();
        keys.peek().is_some() && keys.all(|(key, at)| matches!(key, Key::Number(number) if number == at))
    }

    /// The elements, in order.
    pub fn entries(self) -> impl Iterator<Item = (Key<'v>, &'v Zval)> + Clone {
        let (buckets, packed) = match self {
            Self::Hash(buckets) => (buckets, &[][..]),
            Self::Packed(slots) => (&[][..], slots),
        };
        let of_hash = buckets
            .iter()
            .filter_map(|bucket| Some((key_of(bucket), direct(&bucket.val)?)));
        let of_packed = packed.iter().zip(0..);
        of_hash.chain(of_packed.filter_map(|(slot, at)| Some((Key::Number(at), direct(packed_value(slot))?))))
    }

    /// The values, in order. One may be a reference.
    pub fn values(self) -> impl Iterator<Item = &'v Zval> {
        self.entries().map(|(_, value)| value)
    }

    /// The value of a name, unless it is absent.
    pub fn get(self, name: &str) -> Option<&'v Zval> {
        self.entries()
            .find(|(key, _)| matches!(key, Key::Name(bytes) if *bytes == name.as_bytes()))
            .map(|(_, value)| value.dereference())
    }

    /// How many there are.
    pub fn count(self) -> usize {
        self.entries().count()
    }
}

#[cfg(php82)]
fn packed_value(slot: &PackedSlot) -> &Zval {
    slot
}

#[cfg(not(php82))]
fn packed_value(slot: &PackedSlot) -> &Zval {
    &slot.val
}

fn key_of(bucket: &Bucket) -> Key<'_> {
    name_of(bucket).map_or(Key::Number(bucket.h.cast_signed()), |name| Key::Name(name.as_bytes()))
}

/// The name of a slot, unless its key is a number.
#[inline]
pub fn name_of(bucket: &Bucket) -> Option<&zend_string> {
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

    /// Sets an element whose key is a number.
    pub fn set_number(&mut self, key: i64, value: Zval) {
        let inserted = self.table.insert_at_index(key, value);
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
