package transition

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"systole/resources"
)

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// SplitOpKey takes RESOURCE_TASK_INTERVALMS apart; resource names may contain
// underscores, and so may the tasks migrate_to, migrate_from and the notifications'
// pre_notify_TASK, post_notify_TASK, confirmed-… forms.
func SplitOpKey(key string) (resource, task string, interval time.Duration, ok bool) {
	i := strings.LastIndexByte(key, '_')
	if i <= 0 {
		return "", "", 0, false
	}
	ms, err := strconv.ParseUint(key[i+1:], 10, 32)
	if err != nil {
		return "", "", 0, false
	}
	interval = time.Duration(ms) * time.Millisecond
	rest := key[:i]
	j := strings.LastIndexByte(rest, '_')
	if j <= 0 || j == len(rest)-1 {
		return "", "", 0, false
	}
	resource, task = rest[:j], rest[j+1:]
	for _, prefix := range []string{"_migrate", "_clear", "_pre_notify", "_post_notify", "_confirmed-pre_notify", "_confirmed-post_notify"} {
		if !strings.HasSuffix(resource, prefix) || len(resource) == len(prefix) {
			continue
		}
		if prefix == "_migrate" && task != "to" && task != "from" || prefix == "_clear" && task != "failcount" {
			continue
		}
		return resource[:len(resource)-len(prefix)], prefix[1:] + "_" + task, interval, true
	}
	return resource, task, interval, true
}

// Key is a transition key, by which a result finds the action that asked for it:
// ACTION:TRANSITION:TARGET-RC:UUID (Pacemaker's transition-key).
type Key struct {
	Action     ActionID
	Transition int
	TargetRC   resources.Code // the return code that means "as expected"
	UUID       string         // of the DC's term that made the graph
}

// String is the form stored in lrm_rsc_op.
func (k Key) String() string {
	return fmt.Sprintf("%d:%d:%d:%s", k.Action, k.Transition, k.TargetRC, k.UUID)
}

// ParseKey reads a transition key; its error names what is wrong with it. The UUID may
// be anything without a colon, as old histories have arbitrary text there.
func ParseKey(s string) (Key, error) {
	action, rest, ok1 := strings.Cut(s, ":")
	transition, rest, ok2 := strings.Cut(rest, ":")
	target, uuid, ok3 := strings.Cut(rest, ":")
	if !ok1 || !ok2 || !ok3 || strings.Contains(uuid, ":") {
		return Key{}, fmt.Errorf("transition key %q: want ACTION:TRANSITION:TARGET-RC:UUID", s)
	}
	var k Key
	for _, f := range []struct {
		text, name string
		set        func(int)
	}{
		{action, "action", func(n int) { k.Action = ActionID(n) }},
		{transition, "transition", func(n int) { k.Transition = n }},
		{target, "target return code", func(n int) { k.TargetRC = resources.Code(n) }},
	} {
		n, err := strconv.Atoi(f.text)
		if err != nil {
			return Key{}, fmt.Errorf("transition key %q: %s %q is not a number", s, f.name, f.text)
		}
		f.set(n)
	}
	k.UUID = uuid
	return k, nil
}

// Magic is a transition key with its answer: OP-STATUS:RC;KEY (Pacemaker's transition-magic).
type Magic struct {
	Status resources.Status
	RC     resources.Code
	Key    Key
}

// String is the form stored in lrm_rsc_op.
func (m Magic) String() string { return fmt.Sprintf("%d:%d;%s", m.Status, m.RC, m.Key) }

// ParseMagic reads a transition magic.
func ParseMagic(s string) (Magic, error) {
	head, key, ok1 := strings.Cut(s, ";")
	status, rc, ok2 := strings.Cut(head, ":")
	if !ok1 || !ok2 {
		return Magic{}, fmt.Errorf("transition magic %q: want OP-STATUS:RC;KEY", s)
	}
	st, err1 := strconv.Atoi(status)
	code, err2 := strconv.Atoi(rc)
	if err1 != nil || err2 != nil {
		return Magic{}, fmt.Errorf("transition magic %q: status and return code must be numbers", s)
	}
	k, err := ParseKey(key)
	if err != nil {
		return Magic{}, err
	}
	return Magic{Status: resources.Status(st), RC: resources.Code(code), Key: k}, nil
}
