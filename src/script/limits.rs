//! Every bound of an evaluation, each with its reason.

/// Operations of Rhai in one evaluation: ENGINE.md's bound for what runs on the loop, under 2 ms.
pub(super) const OPERATIONS: u64 = 10_000;
/// Functions calling functions: far above any honest plugin, far below the stack of a thread
/// (a level of Rhai takes about 20 KiB of it in a debug build).
pub(super) const CALL_LEVELS: usize = 24;
/// Nesting of an expression: a person cannot read half of that.
pub(super) const EXPRESSION_DEPTH: usize = 64;
/// Nesting of an expression inside a function.
pub(super) const FUNCTION_DEPTH: usize = 32;
/// Bytes of all texts in one value. Variables times this bounds the memory of an evaluation.
pub(super) const TEXT_BYTES: usize = 256 * 1024;
/// Elements of all lists in one value: ten times what `records()` returns.
pub(super) const LIST_ITEMS: usize = 10_000;
/// Members of all objects in one value.
pub(super) const MAP_ITEMS: usize = 10_000;
/// Variables of a function at a time.
pub(super) const VARIABLES: usize = 64;
/// Functions in a plugin, closures among them.
pub(super) const FUNCTIONS: usize = 500;
/// Bytes of an expression. Its columns must fit Rhai's 16 bits, and nobody reads a longer one.
pub(super) const EXPRESSION_BYTES: usize = 16 * 1024;
/// Bytes of a plugin: its lines must fit Rhai's 16 bits.
pub(super) const PLUGIN_BYTES: usize = 256 * 1024;
/// Reads of the state in one evaluation: each costs about as much as a hundred operations.
pub(super) const READS: usize = 100;
/// Rows that the reads of one evaluation may return together.
pub(super) const ROWS: usize = crate::model::limits::RECORDS_PER_READ;
