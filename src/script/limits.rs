//! Every bound of an evaluation, each with its reason.

/// Operations of Rhai in one evaluation, which runs on the loop: a few milliseconds at the worst,
/// unless a plugin keeps changing one large value, whose size Rhai counts anew at each change.
pub(super) const OPERATIONS: u64 = 10_000;
/// Operations after which a script off the loop, which time bounds, is asked whether it is late: some
/// tens of microseconds.
pub(super) const LOOK_EVERY: u64 = 512;
/// Functions calling functions: far above any honest plugin, far below the stack of a thread
/// (a level of Rhai takes about 20 KiB of it in a debug build).
pub(super) const CALL_LEVELS: usize = 24;
/// Nesting of an expression: a person cannot read half of that.
pub(super) const EXPRESSION_DEPTH: usize = 64;
/// Nesting inside a function of a plugin, its blocks among it.
pub(super) const FUNCTION_DEPTH: usize = 64;
/// Bytes of all texts in one value: a whole event passes. Times the variables under way it bounds the
/// memory of an evaluation.
pub(super) const TEXT_BYTES: usize = crate::model::limits::EVENT_BYTES;
/// Elements of all lists in one value: ten times what `records()` returns.
pub(super) const LIST_ITEMS: usize = 10_000;
/// Members of all objects in one value: all that `records()` returns, with fifty fields each.
pub(super) const MAP_ITEMS: usize = 50_000;
/// Variables of a function at a time.
pub(super) const VARIABLES: usize = 50;
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
