// Package control is how one talks to a director's process: requests and
// answers in JSON, one line each, over a Unix socket only root may use. The
// agent is one client, `crm lvs` the other.
package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"systole/agents/ipvs/director"
	"systole/agents/ipvs/table"
)

// DefaultDir is where sockets and files are.
const DefaultDir = "/run/resource-agents"

// Socket is the path of a resource's socket.
func Socket(dir, resource string) string { return path(dir, resource, ".sock") }

// Record is the path of the file in which a resource's process remembers.
func Record(dir, resource string) string { return path(dir, resource, ".json") }

// PIDFile is the path of its pid file.
func PIDFile(dir, resource string) string { return path(dir, resource, ".pid") }

func path(dir, resource, end string) string {
	if dir == "" {
		dir = DefaultDir
	}
	return filepath.Join(dir, "ipvs-"+strings.ReplaceAll(resource, "/", "_")+end)
}

// Resources are the resources with a socket in the directory, sorted.
func Resources(dir string) []string {
	if dir == "" {
		dir = DefaultDir
	}
	files, _ := filepath.Glob(filepath.Join(dir, "ipvs-*.sock"))
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "ipvs-"), ".sock"))
	}
	slices.Sort(names)
	return names
}

// Verb is what a request asks for.
type Verb string

// The verbs. Drain, Undrain and Weight are this director's own: they end with
// its process, and stand above what the cluster says (`crm lvs drain`).
const (
	Show      Verb = "status"
	Configure Verb = "configure" // Setup
	SetRole   Verb = "role"      // Role, Wait
	Reload    Verb = "reload"    // reads the configuration's file again
	Drain     Verb = "drain"     // Server, Service
	Undrain   Verb = "undrain"   // back to the configured weight, too
	SetWeight Verb = "weight"    // Server, Service, Weight
	Quiesce   Verb = "quiesce"   // Address is about to leave: no new connections
	Stop      Verb = "stop"      // undoes everything and ends
)

// Request is one line to the process.
type Request struct {
	Do    Verb   `json:"do"`
	Setup *Setup `json:"setup,omitempty"`
	Role  Role   `json:"role,omitempty"`
	// Wait bounds how long the answer waits for the first results of checks.
	Wait time.Duration `json:"wait,omitempty"`
	// Server is an address ("10.0.0.11:80", or without the port: all of them) or the name of
	// a node; Service limits it to one service ("tcp 192.0.2.10:80").
	Server  string     `json:"server,omitempty"`
	Service string     `json:"service,omitempty"`
	Weight  int        `json:"weight,omitempty"`
	Address netip.Addr `json:"address,omitzero"`
}

// Answer is one line back.
type Answer struct {
	Error  string  `json:"error,omitempty"`
	Status *Status `json:"status,omitempty"` // of every successful request
}

// Role is what the director is.
type Role string

// The roles.
const (
	Standby Role = "standby"
	Active  Role = "active"
)

// Setup is the resource's parameters, and how to reach the cluster.
type Setup struct {
	Services      string        `json:"services,omitempty"` // inline configuration
	File          string        `json:"file,omitempty"`     // or where it is
	CheckDefaults string        `json:"check_defaults,omitempty"`
	Sorry         string        `json:"sorry,omitempty"`
	Sync          *table.Daemon `json:"sync,omitempty"` // without its state
	Warmup        time.Duration `json:"warmup"`
	Promotable    bool          `json:"promotable"`
	// Feed is the program, with arguments, that prints the cluster's weights, and its environment.
	Feed    []string `json:"feed,omitempty"`
	FeedEnv []string `json:"feed_env,omitempty"`
}

// Status is everything about the process (stable JSON).
type Status struct {
	Resource   string    `json:"resource"`
	PID        int       `json:"pid"`
	Since      time.Time `json:"since"` // the process runs
	Role       Role      `json:"role"`
	Promotable bool      `json:"promotable"`
	Ready      bool      `json:"ready"` // every service has a server, or every check a result
	// Warm: a standby knows the connections of the active one, as far as that can be told.
	Warm     bool               `json:"warm"`
	Problem  string             `json:"problem,omitempty"` // why the kernel is not as it should be
	Looked   time.Time          `json:"looked"`            // at the kernel, last
	Repairs  int                `json:"repairs"`           // differences somebody else made
	Feed     string             `json:"feed"`              // state of the connection with the cluster
	Services []director.Virtual `json:"services"`
	Daemons  []Daemon           `json:"daemons,omitempty"`
	Settings []Setting          `json:"settings,omitempty"`
	Events   []Event            `json:"events,omitempty"` // the last ones
}

// Daemon is a sync daemon that runs.
type Daemon struct {
	State     string `json:"state"`
	Interface string `json:"interface"`
	ID        int    `json:"id"`
}

// Setting is a kernel setting the director has made.
type Setting struct {
	Name   string `json:"name"` // "net.ipv4.ip_forward"
	Value  string `json:"value"`
	Former string `json:"former"` // comes back at stop
}

// Event is something that happened.
type Event struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"`
}

// ErrNoProcess: nobody listens.
var ErrNoProcess = errors.New("the director's process does not run")

// maxLine bounds a line: a status of 1000 servers has some 400 kB.
const maxLine = 64 << 20

// Ask sends one request and returns the answer; what the process refuses is an error.
func Ask(ctx context.Context, socket string, r Request) (Status, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		if ctx.Err() == nil {
			err = errors.Join(ErrNoProcess, err)
		}
		return Status{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	line, err := json.Marshal(r)
	if err != nil {
		return Status{}, err
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return Status{}, fmt.Errorf("ask the director's process: %w", err)
	}
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, maxLine)
	if !lines.Scan() {
		if err = lines.Err(); err == nil {
			err = fs.ErrClosed
		}
		return Status{}, fmt.Errorf("ask the director's process: %w", errors.Join(ErrNoProcess, err))
	}
	var a Answer
	if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
		return Status{}, fmt.Errorf("answer of the director's process: %w", err)
	}
	if a.Error != "" {
		return Status{}, errors.New(a.Error)
	}
	if a.Status == nil {
		return Status{}, errors.New("the director's process answered nothing")
	}
	return *a.Status, nil
}

// Serve answers the requests of one connection until it ends.
func Serve(conn net.Conn, answer func(Request) Answer) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var r Request
		var a Answer
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			a.Error = "not a request: " + err.Error()
		} else {
			a = answer(r)
		}
		line, err := json.Marshal(a)
		if err != nil {
			return // every field of an Answer can be written
		}
		if _, err := conn.Write(append(line, '\n')); err != nil {
			return
		}
	}
}
