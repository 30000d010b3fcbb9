// Package conf is the daemon's configuration: one file of "key = value" lines
// in which every value is optional. The table in options.go is the only list of
// keys; parser, sample file and manual page are made from it.
//
// It is read once, at start. What must be the same on all nodes is not in it but
// in the CIB; what init or join decided is in the cluster directory.
package conf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Path is where the daemon looks unless told otherwise.
const Path = "/etc/systole/systole.conf"

// Config is a complete configuration; every field has a value.
type Config struct {
	NodeName     string         // how init and join call this node; the host's name without domain by default
	Bind         netip.AddrPort // TCP and UDP listened on; an unspecified address is all of them
	Advertise    netip.AddrPort // how others reach this node; invalid means: as it was told at init or join
	ClusterDir   string         // raft log, certificates, keys
	RunDir       string         // api.sock, lrm.json
	LogLevel     slog.Level
	DetectWithin time.Duration  // D of crm/lease: last beat to counted lost
	Voters       int            // how many nodes vote
	Witness      bool           // votes, runs nothing
	Watchdog     string         // device, "" for none
	Realtime     bool           // real-time scheduling of the daemon's threads where permitted
	Metrics      netip.AddrPort // Prometheus listener; invalid for none
	Group        string         // members may use the local socket
	Inputs       int            // scheduler inputs kept
}

// Default is the configuration of an empty file, but for the node name, which
// [Load] takes from the host.
func Default() Config {
	var c Config
	for _, o := range options {
		if err := o.set(&c, o.Default); err != nil {
			panic(fmt.Sprintf("conf: default of %s: %v", o.Key, err)) // a slip in the table
		}
	}
	return c
}

// Load reads a file; one that does not exist is an empty one. All problems are
// reported together, each with file, line and remedy.
func Load(path string) (Config, error) {
	c, err := load(path)
	if err != nil {
		return c, err
	}
	if c.NodeName == "" {
		host, err := os.Hostname()
		if err != nil {
			return c, fmt.Errorf("%s: this machine's name is not known (%w): set node-name", path, err)
		}
		c.NodeName, _, _ = strings.Cut(host, ".")
	}
	return c, nil
}

func load(path string) (Config, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Default(), nil
	case errors.Is(err, fs.ErrPermission):
		return Config{}, fmt.Errorf("%s: no permission to read it: chmod 644 %s, or run as root", path, path)
	case err != nil:
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	return Parse(path, f)
}

// maxFile bounds a configuration file; the sample has some 5 KiB.
const maxFile = 1 << 20

// Parse reads a configuration; name stands for the file in errors.
func Parse(name string, r io.Reader) (Config, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	if len(text) > maxFile {
		return Config{}, fmt.Errorf("%s: more than %d bytes: this is no configuration of systoled", name, maxFile)
	}
	c := Default()
	var errs []error
	first := map[string]int{} // line of each key
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		key, value, ok, err := splitLine(line)
		if err == nil && ok {
			err = c.assign(key, value, number, first)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, number, err))
		}
	}
	return c, errors.Join(errs...)
}

// splitLine takes a line apart; ok is false for an empty one. A comment begins
// with "#" at the start of the line or after a blank.
func splitLine(line string) (key, value string, ok bool, err error) {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			line = line[:i]
			break
		}
	}
	line = strings.TrimSpace(line)
	if line == "" {
		return "", "", false, nil
	}
	key, value, ok = strings.Cut(line, "=")
	if !ok {
		return "", "", false, fmt.Errorf("%q is not of the form key = value", clip(line))
	}
	return strings.TrimSpace(key), strings.TrimSpace(value), true, nil
}

// assign sets one option.
func (c *Config) assign(key, value string, line int, first map[string]int) error {
	o, ok := find(key)
	if !ok {
		return unknown(key)
	}
	if before := first[key]; before != 0 {
		return fmt.Errorf("%s was set in line %d already: remove one of the two", key, before)
	}
	first[key] = line
	if err := o.set(c, value); err != nil {
		return fmt.Errorf("%s = %s: %w", key, clip(value), err)
	}
	return nil
}

// clip keeps a value in an error short.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// unknown suggests the nearest key.
func unknown(key string) error {
	best, distance := "", 4 // further away is no slip of the finger
	for _, o := range options {
		if d := editDistance(key, o.Key); d < distance {
			best, distance = o.Key, d
		}
	}
	if best != "" {
		return fmt.Errorf("%q is unknown: did you mean %s?", clip(key), best)
	}
	return fmt.Errorf("%q is unknown: systole.conf(5) lists all keys", clip(key))
}

// editDistance counts insertions, deletions and replacements between two words
// (Levenshtein); words much longer than any key are just far.
func editDistance(a, b string) int {
	if len(a) > 2*len(b)+4 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
