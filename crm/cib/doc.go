// Package cib is the cluster information base: one XML document, of which
// configuration holds what people want and status what was observed.
//
// The document is an immutable tree of [Element]. [CIB] wraps its root with the
// version triple; operations ([CIB.Apply]) take a CIB and give another that
// shares what did not change, so a CIB may be kept as a snapshot for free and
// read from any goroutine. Everything unknown in the document (elements,
// attributes, comments, order) is kept.
//
// The package does no I/O, reads no clock and never changes a value it handed
// out. Reading and writing XML is [Parse] and [Element.AppendXML]; finding
// things is [XPath], [Path] and [FindID]; the difference of two documents is a
// [Patch]; [Validate] lists everything wrong with a document and [Upgrade]
// brings an older vocabulary to the current one.
package cib
