package simulate

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"systole/crm/transition"
	"systole/resources"
)

// OpSpec names one operation and a result for it: RESOURCE_TASK_INTERVALMS@NODE=RC, as
// crm_simulate takes it after -i and -F.
type OpSpec struct {
	Resource, Task string
	Interval       time.Duration
	Node           string
	RC             resources.Code
}

// String is the form that ParseOpSpec reads.
func (s OpSpec) String() string {
	return transition.OpKey(s.Resource, s.Task, s.Interval) + "@" + s.Node + "=" + strconv.Itoa(int(s.RC))
}

// ParseOpSpec reads an operation specification; its error says what is missing.
func ParseOpSpec(text string) (OpSpec, error) {
	at := strings.LastIndexByte(text, '@')
	eq := strings.LastIndexByte(text, '=')
	if at < 0 || eq < at {
		return OpSpec{}, fmt.Errorf("operation %q: want RESOURCE_TASK_INTERVALMS@NODE=RC, like db_monitor_10000@node1=7", text)
	}
	resource, task, interval, ok := transition.SplitOpKey(text[:at])
	if !ok {
		return OpSpec{}, fmt.Errorf("operation %q: %q is not RESOURCE_TASK_INTERVALMS", text, text[:at])
	}
	rc, err := strconv.Atoi(text[eq+1:])
	if err != nil || rc < 0 || rc > 255 {
		return OpSpec{}, fmt.Errorf("operation %q: %q is not a return code", text, text[eq+1:])
	}
	if at+1 == eq {
		return OpSpec{}, fmt.Errorf("operation %q: the node's name is missing", text)
	}
	return OpSpec{Resource: resource, Task: task, Interval: interval, Node: text[at+1 : eq], RC: resources.Code(rc)}, nil
}
