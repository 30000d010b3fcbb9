package mon

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/display"
	"systole/crm/exit"
	"systole/crm/shell/tool"
)

// history is what is known of every operation: its transition-magic by node, resource and
// entry.
type history map[[3]string]string

// agentPatience bounds one run of the external agent, so that a hanging program cannot
// stop the monitor.
const agentPatience = 30 * time.Second

// report runs the external agent for every result that is new since the last view. The
// first view only sets the mark.
func (m *monitor) report(ctx context.Context, v *display.View) {
	if m.agent == "" {
		return
	}
	now := history{}
	for state := range v.Status.Source.Child("status").Each("node_state") {
		for rsc := range state.Path("lrm", "lrm_resources").Each("lrm_resource") {
			for op := range rsc.Each("lrm_rsc_op") {
				key := [3]string{state.Get("uname"), rsc.ID(), op.ID()}
				now[key] = op.Get("transition-magic")
				if m.seen != nil && m.seen[key] != now[key] && op.Get("op-status") != "-1" {
					m.call(ctx, key[0], rsc.ID(), op)
				}
			}
		}
	}
	m.seen = now
}

// call runs the agent with the variables of the field's crm_mon -E.
func (m *monitor) call(ctx context.Context, node, rsc string, op *cib.Element) {
	ctx, cancel := context.WithTimeout(ctx, agentPatience)
	defer cancel()
	target := "0"
	if key := strings.Split(op.Get("transition-key"), ":"); len(key) == 4 {
		target = key[2]
	}
	desc := "ok"
	if op.Get("rc-code") != target {
		desc = op.Get("exit-reason")
	}
	cmd := exec.CommandContext(ctx, m.agent)
	cmd.Env = append(os.Environ(),
		"CRM_notify_recipient="+m.receiver, "CRM_notify_node="+node, "CRM_notify_rsc="+rsc,
		"CRM_notify_task="+op.Get("operation"), "CRM_notify_desc="+desc,
		"CRM_notify_rc="+op.Get("rc-code"), "CRM_notify_target_rc="+target, "CRM_notify_status="+op.Get("op-status"))
	if err := cmd.Run(); err != nil {
		m.stdio.Errorf("external agent %s: %v", m.agent, err)
	}
}

// background starts the same program again without a terminal, and writes its number down.
func (r *request) background(stdio *tool.IO, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Args = []string{"crm_mon"}
	for _, a := range args {
		if a != "-d" && a != "--daemonize" {
			cmd.Args = append(cmd.Args, withoutDetach(a))
		}
	}
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return exit.With(exit.OSErr, err)
	}
	if r.pidFile != "" {
		if err := os.WriteFile(r.pidFile, []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o644); err != nil {
			return exit.With(exit.CantCreate, err)
		}
	}
	return cmd.Process.Release()
}

// withoutDetach takes the d out of a cluster of short options: -rd becomes -r.
func withoutDetach(arg string) string {
	if len(arg) > 2 && arg[0] == '-' && arg[1] != '-' && !strings.ContainsAny(arg, "=/.") && strings.Trim(arg[1:], "1nrfotcADRbsdNXWQV") == "" {
		return strings.ReplaceAll(arg, "d", "")
	}
	return arg
}
