package transition

import (
	"strconv"
	"strings"
	"time"

	"systole/resources"
)

// Defaults of the CIB properties that a graph carries (Pacemaker Explained, "Cluster Options").
const (
	DefaultClusterDelay   = 60 * time.Second
	DefaultFencingTimeout = 60 * time.Second
)

// Patience is how long to wait for an action's result before it counts as failed:
// its own time-out (fencing-timeout for fencing) and start-delay, and cluster-delay
// for the way there and back.
func (g *Graph) Patience(a *Action) time.Duration {
	timeout := metaMillis(a, "timeout")
	switch {
	case timeout > 0:
	case a.Task == TaskFence:
		timeout = duration(g.FencingTimeout, DefaultFencingTimeout)
	default:
		timeout = resources.DefaultTimeout
	}
	return timeout + metaMillis(a, "start_delay") + duration(g.ClusterDelay, DefaultClusterDelay)
}

// NoWait tells that an action counts as done once it was sent (CRM_meta_op_no_wait).
func (a *Action) NoWait() bool { return a.Meta("op_no_wait") == "true" }

// TargetRC is the return code that means "as expected" (CRM_meta_op_target_rc), 0 when not given.
func (a *Action) TargetRC() resources.Code {
	n, err := strconv.Atoi(a.Meta("op_target_rc"))
	if err != nil {
		return resources.OK
	}
	return resources.Code(n)
}

// Interval of a recurring operation, 0 for all others.
func (a *Action) Interval() time.Duration { return metaMillis(a, "interval") }

// Timeout is the operation's own time-out, 0 when the graph gives none.
func (a *Action) Timeout() time.Duration { return metaMillis(a, "timeout") }

func metaMillis(a *Action, name string) time.Duration {
	n, err := strconv.ParseUint(a.Meta(name), 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

// units are those of Pacemaker's time properties; the bare number is seconds.
var units = map[string]time.Duration{
	"": time.Second, "s": time.Second, "sec": time.Second,
	"ms": time.Millisecond, "msec": time.Millisecond, "us": time.Microsecond, "usec": time.Microsecond,
	"m": time.Minute, "min": time.Minute, "h": time.Hour, "hr": time.Hour,
}

// duration reads a time property; anything unreadable is the default, as validation
// has warned about it before.
func duration(text string, def time.Duration) time.Duration {
	text = strings.TrimSpace(text)
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	n, err := strconv.ParseUint(text[:digits], 10, 31)
	unit, ok := units[strings.TrimSpace(text[digits:])]
	if err != nil || !ok {
		return def
	}
	return time.Duration(n) * unit
}
