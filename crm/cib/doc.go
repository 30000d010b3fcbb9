// Package cib is the cluster information base: an immutable XML document, its
// operations, paths, differences and validation.
package cib
