// Package conf is the daemon's configuration: one file of "key = value" lines
// in which every value is optional. The table in options.go is the only list of
// keys; parser, sample file and manual are made from it.
package conf

import (
	"log/slog"
	"net/netip"
	"time"
)

// Path is where the daemon looks unless told otherwise.
const Path = "/etc/systole/systole.conf"

// Config is a complete configuration; every field has a value.
type Config struct {
	NodeName     string         // how this node is called; the host's name without domain by default
	Bind         netip.AddrPort // TCP and UDP listened on; an unspecified address is all of them
	Advertise    netip.AddrPort // how others reach this node; invalid means: as it was told at init or join
	ClusterDir   string         // raft log, certificates, keys
	RunDir       string         // api.sock, lrm.json
	LogLevel     slog.Level
	DetectWithin time.Duration // D of timing.md: last beat sent to counted lost
	Voters       int           // how many nodes vote

	Witness  bool           // votes, runs nothing
	Watchdog string         // device, "" for none
	Realtime bool           // real-time scheduling of the daemon's threads where permitted
	Metrics  netip.AddrPort // Prometheus listener; invalid for none
	Group    string         // members may use the local socket
	Inputs   int            // scheduler inputs kept
}
