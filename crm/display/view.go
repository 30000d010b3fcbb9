package display

import (
	"time"

	"systole/crm/status"
)

// Dialect is the version of the field's tools whose words are spoken.
type Dialect uint8

// The dialects. crm_simulate follows 3.0.2, the other tools 2.1.5.
const (
	Dialect215 Dialect = iota
	Dialect302
)

// Show is a set of sections.
type Show uint32

// The sections, in the order they are printed. The names are those of crm_mon --include.
const (
	ShowTimes Show = 1 << iota
	ShowStack
	ShowDC
	ShowCounts
	ShowOptions
	ShowMaintMode
	ShowNodes
	ShowResources
	ShowAttributes
	ShowFailCounts
	ShowOperations
	ShowFailures
	ShowFencingFailed
	ShowFencingPending
	ShowFencingSucceeded
	ShowTickets
	ShowBans

	ShowSummary = ShowStack | ShowDC | ShowTimes | ShowCounts | ShowOptions
	ShowFencing = ShowFencingFailed | ShowFencingPending | ShowFencingSucceeded
	ShowAll     = ShowBans<<1 - 1
)

// SectionNames are the words of crm_mon's --include and --exclude, other than all, none and default.
var SectionNames = map[string]Show{
	"attributes": ShowAttributes, "bans": ShowBans, "counts": ShowCounts, "dc": ShowDC,
	"failcounts": ShowFailCounts, "failures": ShowFailures, "fencing": ShowFencing,
	"fencing-failed": ShowFencingFailed, "fencing-pending": ShowFencingPending,
	"fencing-succeeded": ShowFencingSucceeded, "maint-mode": ShowMaintMode, "nodes": ShowNodes,
	"operations": ShowOperations, "options": ShowOptions, "resources": ShowResources,
	"stack": ShowStack, "summary": ShowSummary, "tickets": ShowTickets, "times": ShowTimes,
}

// DefaultText and DefaultXML are the sections shown unless somebody chooses.
const (
	DefaultText = ShowStack | ShowDC | ShowTimes | ShowCounts | ShowMaintMode | ShowNodes | ShowResources | ShowFailures | ShowFencingFailed
	DefaultXML  = ShowAll
)

// Options say how to render. The zero value shows nothing; see DefaultText.
type Options struct {
	Dialect     Dialect
	Show        Show
	Inactive    bool   // -r: also what is not active
	GroupByNode bool   // -n
	Brief       bool   // -b
	Detail      bool   // -R
	NoPending   bool   // operations in progress are not told (crm_simulate's state after)
	Timing      bool   // -t: times of operations
	BansPrefix  string // -L=PREFIX: only bans whose id begins so
	Node        string // --node: only this node, or the nodes with this tag
	Resource    string // --resource: only this resource, or the resources with this tag
	// FencingFull shows every fencing event of a target instead of the last (-m2, -m3).
	FencingFull bool
	// Location is the zone of the times shown; nil is UTC.
	Location *time.Location
}

// View is what is rendered.
type View struct {
	Status  *status.Status
	Options Options
	// Updated is the moment of the view ("Last updated").
	Updated time.Time
	// Fencing are the events of the fencing history, newest first.
	Fencing []FenceEvent
	// FencingUnknown is set where the history could not be had; the XML says so.
	FencingUnknown bool
	// Daemon is the word for the daemon's state ("Pacemaker is running"), "" when there is none to speak of.
	Daemon string
	// Version is what the DC reports where the CIB says nothing.
	Version string
}

// FenceState is how a fencing event ended.
type FenceState uint8

// The states of a fencing event.
const (
	FencePending FenceState = iota
	FenceDone
	FenceFailed
)

// FenceEvent is one entry of the fencing history.
type FenceEvent struct {
	Action, Target   string
	Client, Origin   string
	Delegate, Reason string
	State            FenceState
	Completed        time.Time
}

func (v *View) location() *time.Location {
	if v.Options.Location != nil {
		return v.Options.Location
	}
	return time.UTC
}

// asctime is C's asctime without its newline, as the tools print times.
func (v *View) asctime(t time.Time) string { return t.In(v.location()).Format(time.ANSIC) }

// isotime is the form used in XML attributes of the newer kind.
func (v *View) isotime(t time.Time) string {
	t = t.In(v.location())
	if _, offset := t.Zone(); offset == 0 {
		return t.Format("2006-01-02 15:04:05Z")
	}
	return t.Format("2006-01-02 15:04:05 -07:00")
}

func (v *View) shows(s Show) bool { return v.Options.Show&s != 0 }
