// Package structure holds no code, only tests of the whole tree's shape: which
// way imports point (DESIGN.md §1), what the core may not touch, and that every
// package says what it is for. They read the sources and run in a second.
package structure
