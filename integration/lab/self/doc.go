// Package self holds no code, only the lab's proof of itself: that power cuts
// cut, cables cut one way, watchdogs reset and the power switch lies when told
// to. "make lab RUN=self" runs it.
package self
