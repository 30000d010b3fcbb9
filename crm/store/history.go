package store

import (
	"time"

	"systole/crm/cib"
)

// Revision is one past configuration.
type Revision struct {
	Index   uint64
	Version cib.Version // of the CIB once the change was made
	Time    time.Time   // stamped by the proposer
	User    string
	Client  string
	Origin  string
	Summary string // "modify resources, delete //rsc_location[@id='x']"
}

// History is every configuration change that is still kept, oldest first.
func (s *Store) History() []Revision { return nil }

// Revision finds a past configuration by its version: "1.42.0", or without the
// admin_epoch "42"; num_updates is ignored. False when it is not kept (any more).
func (s *Store) Revision(version string) (Revision, *cib.Element, bool) {
	return Revision{}, nil, false
}
