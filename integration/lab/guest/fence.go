package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"systole/integration/lab/line"
)

const (
	fenceName = "fence_lab"
	// switchSocket is where the agent takes fence_lab's calls.
	switchSocket = "/run/lab-switch.sock"
	// answerWithin bounds the wait for the power switch; its mode slow is meant to be shorter.
	answerWithin = 2 * time.Minute
)

// actions of the fence agent API that go to the switch.
var actions = []string{"on", "off", "reboot", "status", "monitor", "list"}

// takeFenceCalls hands every call to the harness and its answer back.
func (a *agent) takeFenceCalls(listener net.Listener) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		go a.passOn(c)
	}
}

func (a *agent) passOn(c net.Conn) {
	defer c.Close()
	var call line.FenceCall
	if line.NewReader(c).Read(&call) != nil {
		return
	}
	ch := make(chan line.FenceAnswer, 1)
	a.mu.Lock()
	a.nextID++
	id := a.nextID
	a.calls[id] = ch
	a.mu.Unlock()
	a.reply(line.Reply{ID: id, Fence: &call})
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	select {
	case answer := <-ch:
		line.Write(c, answer)
	case <-ctx.Done():
	}
}

// fence is the fence agent: NAME=value lines on standard input, an exit code,
// as ClusterLabs' fence agent API has it. "-o metadata" works too.
func fence(args []string, in io.Reader, out, errs io.Writer) int {
	p, err := parameters(args, in)
	if err != nil {
		fmt.Fprintln(errs, "ERROR:", err)
		return 1
	}
	call := line.FenceCall{Action: cmp.Or(p["action"], "reboot"), Plug: cmp.Or(p["plug"], p["port"], p["nodename"])}
	if call.Action == "metadata" {
		io.WriteString(out, metadata)
		return 0
	}
	if !slices.Contains(actions, call.Action) {
		fmt.Fprintf(errs, "ERROR: unknown action %q: one of %s or metadata\n", call.Action, strings.Join(actions, ", "))
		return 1
	}
	if call.Plug == "" && call.Action != "monitor" && call.Action != "list" {
		fmt.Fprintf(errs, "ERROR: %s needs a plug\n", call.Action)
		return 1
	}
	answer, err := ask(call)
	if err != nil {
		fmt.Fprintln(errs, "ERROR: the power switch cannot be reached:", err)
		return 1
	}
	io.WriteString(out, answer.Out)
	if answer.Err != "" {
		fmt.Fprintln(errs, "ERROR:", answer.Err)
	}
	return answer.Code
}

func ask(call line.FenceCall) (answer line.FenceAnswer, err error) {
	c, err := net.Dial("unix", switchSocket)
	if err != nil {
		return answer, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(answerWithin))
	if err := line.Write(c, call); err != nil {
		return answer, err
	}
	err = line.NewReader(c).Read(&answer)
	return answer, err
}

// parameters reads NAME=value lines; an empty line or one with # says nothing.
func parameters(args []string, in io.Reader) (map[string]string, error) {
	p := map[string]string{}
	if len(args) == 2 && (args[0] == "-o" || args[0] == "--action") {
		return map[string]string{"action": args[1]}, nil
	}
	if len(args) > 0 {
		return nil, fmt.Errorf("unknown arguments %q: parameters come on standard input", args)
	}
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("line %d: %q is not NAME=value", n, text)
		}
		p[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return p, lines.Err()
}

const metadata = `<?xml version="1.0"?>
<resource-agent name="fence_lab" shortdesc="Power switch of the lab">
<longdesc>Asks the harness of the lab, which started the node as a process, for the power of another node.</longdesc>
<parameters>
<parameter name="action" unique="0" required="1"><content type="string" default="reboot"/><shortdesc lang="en">What to do</shortdesc></parameter>
<parameter name="plug" unique="0" required="1" obsoletes="port"><content type="string"/><shortdesc lang="en">Name of the node</shortdesc></parameter>
<parameter name="port" unique="0" required="0" deprecated="1"><content type="string"/><shortdesc lang="en">Name of the node</shortdesc></parameter>
</parameters>
<actions>
<action name="on" automatic="0"/>
<action name="off"/>
<action name="reboot"/>
<action name="status"/>
<action name="monitor"/>
<action name="list"/>
<action name="metadata"/>
</actions>
</resource-agent>
`
