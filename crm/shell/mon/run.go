// Package mon is the tool crm_mon: the state of the cluster, once or as it changes, as
// text, HTML or XML. It fetches a CIB and lets package display say what it means.
package mon

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"systole/crm/api"
	"systole/crm/display"
	"systole/crm/exit"
	"systole/crm/shell/options"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
	"systole/crm/status"
)

// Run is the program; see [tool.Tool].
func Run(ctx context.Context, stdio *tool.IO, args []string) int {
	r, err := parse(args)
	switch {
	case err != nil:
	case r.help != "":
		stdio.Println(r.help)
		return 0
	case r.version:
		stdio.Printf("Pacemaker %s\nsystole\n", options.Version)
		return 0
	case r.detach:
		err = r.background(stdio, args)
	default:
		m := &monitor{request: r, stdio: stdio, source: source.Open(stdio.Getenv), command: "crm_mon " + strings.Join(args, " ")}
		err = m.run(ctx)
	}
	if err == nil {
		return 0
	}
	return r.complain(stdio, err, args)
}

// complain tells of an error; programs that read XML get it as XML.
func (r *request) complain(stdio *tool.IO, err error, args []string) int {
	code := exit.Of(err)
	if r.format == "xml" && code != exit.Usage {
		e := display.Result("crm_mon "+strings.Join(args, " "), display.Outcome{
			Code: int(code), Message: code.String(), Errors: []string{source.Message(err)},
		})
		stdio.Printf("%s\n", e.String())
		return int(code)
	}
	stdio.Errorf("%s", source.Message(err))
	return int(code)
}

// monitor is one run of the tool.
type monitor struct {
	request
	stdio   *tool.IO
	source  *source.Source
	command string
	seen    history // what the external agent was told
}

func (m *monitor) run(ctx context.Context) error {
	if m.once || !m.source.Live() {
		v, err := m.fetch(ctx)
		if err != nil {
			return err
		}
		return m.show(v)
	}
	return m.follow(ctx)
}

// follow shows the state again whenever it changes, and at the latest after the interval.
// A connection that was lost is told and tried again.
func (m *monitor) follow(ctx context.Context) error {
	changes := make(chan struct{}, 1)
	watcher, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.watch(watcher, changes)
	}()
	defer func() { stop(); <-ended }()
	for ctx.Err() == nil {
		v, err := m.fetch(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			m.clear()
			m.stdio.Printf("%s\n", source.Message(err))
		default:
			m.report(ctx, v)
			if err := m.show(v); err != nil {
				return err
			}
		}
		select {
		case <-changes:
		case <-time.After(m.interval):
		case <-ctx.Done():
		}
	}
	return nil
}

// watch tells of changes until ctx is done.
func (m *monitor) watch(ctx context.Context, changes chan<- struct{}) {
	client, err := m.source.Client()
	if err != nil {
		return
	}
	for ctx.Err() == nil {
		for _, err := range client.Watch(ctx, 0) {
			if err != nil {
				break
			}
			select {
			case changes <- struct{}{}:
			default: // one is waiting already
			}
		}
		select {
		case <-time.After(m.interval):
		case <-ctx.Done():
		}
	}
}

// fetch reads everything a view needs.
func (m *monitor) fetch(ctx context.Context) (*display.View, error) {
	c, err := m.source.ReadLocal(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	v := &display.View{Status: status.Unpack(c.Root(), now), Options: m.options, Updated: now}
	v.Options.Location = time.Local
	if !m.source.Live() {
		return v, nil // a file has no daemon and no fencing history
	}
	v.Daemon, v.Version = "Pacemaker is running", options.Version
	client, err := m.source.Client()
	if err != nil {
		return nil, err
	}
	events, err := client.FenceHistory(ctx, "")
	if err != nil {
		v.FencingUnknown = true
		return v, nil
	}
	for _, e := range events {
		v.Fencing = append(v.Fencing, fenceEvent(e))
	}
	return v, nil
}

func fenceEvent(e api.FenceEvent) display.FenceEvent {
	state := display.FencePending
	switch e.State {
	case "success":
		state = display.FenceDone
	case "failed":
		state = display.FenceFailed
	}
	return display.FenceEvent{
		Action: e.Action, Target: e.Target, Client: e.Client, Origin: e.Origin,
		Delegate: e.Delegate, Reason: e.Reason, State: state, Completed: e.Completed,
	}
}

// show prints a view once.
func (m *monitor) show(v *display.View) error {
	if m.simple {
		text, _ := v.OneLine()
		m.stdio.Println(text)
		return nil
	}
	var b bytes.Buffer
	if err := m.render(&b, v); err != nil {
		return err
	}
	if m.output != "-" && m.output != "" {
		return exit.With(exit.IOErr, renameio.WriteFile(m.output, b.Bytes(), 0o644))
	}
	m.clear()
	m.stdio.Printf("%s", b.Bytes())
	return nil
}

func (m *monitor) render(b *bytes.Buffer, v *display.View) error {
	switch m.format {
	case "xml":
		return v.XML(b, display.Root{Old: m.oldXML, Request: m.command, Version: options.Version})
	case "html":
		if m.cgi {
			b.WriteString("Content-Type: text/html\n\n")
		}
		page := display.Page{Title: m.title, Stylesheet: m.style}
		if !m.once {
			page.Refresh = fmt.Sprint(int(m.interval.Seconds()))
		}
		return v.HTML(b, page)
	}
	return v.Text(b)
}

// clear empties the screen of somebody who watches.
func (m *monitor) clear() {
	if !m.once && m.stdio.Terminal && m.format == "console" && m.source.Live() {
		m.stdio.Printf("\x1b[H\x1b[2J")
	}
}
