// Package fencing makes sure that a node is down: it reads devices and topology
// from the CIB, tries them in order, and says "fenced" only when a device said
// so, and does not say the contrary when asked for the status after "off". Nothing
// here ever takes silence, a timeout or a missing device for success.
//
// Reading ([Devices], [Levels]) is pure. [Fence] runs one request and blocks; the
// caller owns its goroutine and the [History]. Devices are run by a [Runner],
// which crm/node implements here and on other nodes.
//
// Names and defaults are Pacemaker's (pacemaker-fenced(7), "pcmk_*").
package fencing
