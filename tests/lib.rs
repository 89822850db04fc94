//! Nothing here: the tests of this package stand in the files beside it.
