//! The examples of graven stand in the files beside this folder.
