package lab

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"systole/integration/lab/line"
)

// Mode is how the power switch behaves. It counts for on, off and reboot;
// status, monitor and list always tell what is.
type Mode int

// The modes.
const (
	SwitchOK    Mode = iota
	SwitchSlow       // does it after SwitchDelay
	SwitchFails      // does nothing and says so; its relays are stuck
	SwitchLies       // does nothing and says it did
)

func (m Mode) String() string { return [...]string{"ok", "slow", "fail", "lies"}[m] }

// SwitchDelay is how long the slow switch waits before it acts.
const SwitchDelay = 3 * time.Second

// Switch is the power switch of all nodes: what the fence agent fence_lab talks
// to. Safe for concurrent use.
type Switch struct {
	lab *Lab

	mu    sync.Mutex
	mode  Mode
	calls []SwitchCall
}

// SwitchCall is one use of the switch.
type SwitchCall struct {
	At           time.Time
	By           string // the node that asked
	Action, Plug string
	Mode         Mode
	Code         int
	Done         time.Time
}

func (c SwitchCall) String() string {
	return fmt.Sprintf("%s %s asked %s %s, mode %s: exit %d after %v", c.At.Format("15:04:05.000"), c.By, c.Action, c.Plug, c.Mode, c.Code, c.Done.Sub(c.At).Round(time.Millisecond))
}

// Set changes how the switch behaves from now on.
func (s *Switch) Set(m Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = m
}

// Calls are the uses so far that have ended, in the order of their ends. With
// actions given, only those.
func (s *Switch) Calls(actions ...string) []SwitchCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.calls), func(c SwitchCall) bool {
		return len(actions) > 0 && !slices.Contains(actions, c.Action)
	})
}

// take carries out one call of fence_lab on a node.
func (s *Switch) take(by string, call line.FenceCall) line.FenceAnswer {
	s.mu.Lock()
	mode := s.mode
	s.mu.Unlock()
	used := SwitchCall{At: time.Now(), By: by, Action: call.Action, Plug: call.Plug, Mode: mode}
	answer := s.act(mode, call)
	used.Code, used.Done = answer.Code, time.Now()
	s.mu.Lock()
	s.calls = append(s.calls, used)
	s.mu.Unlock()
	s.lab.say("power switch: %v", used)
	return answer
}

// The exit codes of the fence agent API: status says 2 for off.
const (
	fenceDone, fenceFailed, fenceOff = 0, 1, 2
)

func (s *Switch) act(mode Mode, call line.FenceCall) line.FenceAnswer {
	switch call.Action {
	case "monitor":
		return line.FenceAnswer{}
	case "list":
		var names []string
		for _, n := range s.lab.nodes {
			names = append(names, n.Name+",\n")
		}
		return line.FenceAnswer{Out: strings.Join(names, "")}
	}
	n := s.lab.find(call.Plug)
	if n == nil {
		return line.FenceAnswer{Code: fenceFailed, Err: fmt.Sprintf("no plug %q", call.Plug)}
	}
	if call.Action == "status" {
		if n.Running() {
			return line.FenceAnswer{Out: "Status: ON\n"}
		}
		return line.FenceAnswer{Code: fenceOff, Out: "Status: OFF\n"}
	}
	switch mode {
	case SwitchFails:
		return line.FenceAnswer{Code: fenceFailed, Err: "the relay is stuck"}
	case SwitchLies:
		return line.FenceAnswer{}
	}
	if mode == SwitchSlow {
		select {
		case <-time.After(SwitchDelay):
		case <-s.lab.ctx.Done():
			return line.FenceAnswer{Code: fenceFailed, Err: "the lab ends"}
		}
	}
	if call.Action != "on" {
		n.PowerCut()
	}
	if call.Action == "off" {
		return line.FenceAnswer{}
	}
	// As with a real switch, done means power, not a booted node.
	if err := n.switchOn(); err != nil && !n.Running() {
		return line.FenceAnswer{Code: fenceFailed, Err: err.Error()}
	}
	return line.FenceAnswer{}
}
