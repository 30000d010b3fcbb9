package conf

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"systole/crm/cluster"
	"systole/crm/lease"
)

// Option is one key of the file.
type Option struct {
	Key     string
	Value   string // what a value looks like, for the manual
	Default string // as it would be written; "" is allowed
	Help    string // sentences, wrapped by whoever prints them
	set     func(*Config, string) error
}

// options is the table of all keys, in the order of the sample file.
var options = []Option{
	{"node-name", "NAME", "",
		"How \"crm cluster init\" and \"crm cluster join\" call this node. Empty means the host's name without its domain. A node that is in a cluster keeps the name it has there.",
		func(c *Config, v string) error {
			c.NodeName = v
			if v == "" {
				return nil
			}
			return cluster.CheckName(v)
		}},
	{"bind", "IP:PORT", fmt.Sprintf("[::]:%d", cluster.DefaultPort),
		"Where to listen for other nodes, with TCP and with UDP. [::] is every address of this machine, IPv4 too. Firewalls must let both protocols through between the nodes.",
		func(c *Config, v string) (err error) { c.Bind, err = addrPort(v); return err }},
	{"advertise", "IP:PORT", "",
		"How other nodes reach this one, when the address given at init or join has changed. Empty means that address.",
		func(c *Config, v string) (err error) {
			c.Advertise = netip.AddrPort{}
			if v == "" {
				return nil
			}
			if c.Advertise, err = addrPort(v); err == nil && (c.Advertise.Addr().IsUnspecified() || c.Advertise.Port() == 0) {
				err = errors.New("other nodes cannot dial that: name this machine's own address and a port")
			}
			return err
		}},
	{"cluster-dir", "PATH", "/var/lib/systole",
		"Certificates, keys, identity and the replicated log. It must be on a local disk that keeps what fsync promised, and belong to root with mode 0700.",
		func(c *Config, v string) error { c.ClusterDir = v; return absolute(v) }},
	{"run-dir", "PATH", "/run/systole",
		"The local socket, and what must survive a restart of the daemon but not of the machine. It must be on a tmpfs.",
		func(c *Config, v string) error { c.RunDir = v; return absolute(v) }},
	{"log-level", "debug|info|warn|error", "info",
		"How much to log. At info, a quiet cluster logs nothing.",
		func(c *Config, v string) error { return logLevel(&c.LogLevel, v) }},
	{"detect-within", "DURATION", lease.DefaultDetectWithin.String(),
		fmt.Sprintf("The longest time from a node's last beat to the moment it counts as lost, from %v to %v. All other times of the protocol follow from it; \"crm cluster timing\" shows them and the smallest value this machine allows. It must be the same on all nodes.", lease.MinDetectWithin, lease.MaxDetectWithin),
		func(c *Config, v string) (err error) {
			if c.DetectWithin, err = time.ParseDuration(v); err != nil {
				return errors.New("use a number and a unit, such as 500ms or 1s")
			}
			_, err = lease.Derive(c.DetectWithin)
			return err
		}},
	{"voters", "N", "5",
		"How many nodes vote: the first N. More nodes replicate without a vote, and take the place of a voter that leaves or stays away. Odd numbers serve best; five survive the loss of two.",
		func(c *Config, v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > maxVoters {
				return fmt.Errorf("use a number from 1 to %d", maxVoters)
			}
			c.Voters = n
			return nil
		}},
	{"witness", "yes|no", "no",
		"A witness votes and runs no resources: a small third machine that lets two others outvote each other's loss.",
		func(c *Config, v string) error { return boolean(&c.Witness, v) }},
	{"watchdog", "DEVICE", "",
		"A watchdog device, such as /dev/watchdog, that resets this machine when the daemon no longer feeds it. Empty means none. See the cluster option stonith-watchdog-timeout.",
		func(c *Config, v string) error {
			c.Watchdog = v
			if v == "" {
				return nil
			}
			return absolute(v)
		}},
	{"realtime", "yes|no", "yes",
		"Run the daemon's threads with real-time priority and its memory locked, where the system permits; resources are started without either.",
		func(c *Config, v string) error { return boolean(&c.Realtime, v) }},
	{"metrics", "IP:PORT", "",
		"Where to serve Prometheus metrics over plain HTTP, such as 127.0.0.1:9664. Empty means only on the local socket.",
		func(c *Config, v string) (err error) {
			c.Metrics = netip.AddrPort{}
			if v == "" {
				return nil
			}
			c.Metrics, err = addrPort(v)
			return err
		}},
	{"group", "NAME", "haclient",
		"Members of this group may use the cluster's tools as root may, but for forming, joining and rekeying the cluster. Empty means root only.",
		func(c *Config, v string) error { c.Group = v; return oneWord(v) }},
	{"inputs", "N", "100",
		"How many inputs of the scheduler to keep, compressed, for \"crm simulate\".",
		func(c *Config, v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 || n > maxInputs {
				return fmt.Errorf("use a number from 0 to %d", maxInputs)
			}
			c.Inputs = n
			return nil
		}},
}

// Bounds: a commit waits for a majority, so many voters only cost time; an input
// of a large cluster has some 100 KiB.
const (
	maxVoters = 9
	maxInputs = 100_000
)

// Options lists all keys in the order of the sample file.
func Options() []Option { return append([]Option(nil), options...) }

func find(key string) (Option, bool) {
	for _, o := range options {
		if o.Key == key {
			return o, true
		}
	}
	return Option{}, false
}

func addrPort(v string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(v)
	if err != nil {
		return a, fmt.Errorf("use an IP address and a port, such as 192.168.1.11:%d or [::]:%d", cluster.DefaultPort, cluster.DefaultPort)
	}
	return a, nil
}

func absolute(v string) error {
	if !filepath.IsAbs(v) || filepath.Clean(v) != v {
		return errors.New("use a plain absolute path, such as /var/lib/systole")
	}
	return nil
}

func boolean(b *bool, v string) error {
	switch v {
	case "yes", "true", "on", "1":
		*b = true
	case "no", "false", "off", "0":
		*b = false
	default:
		return errors.New("use yes or no")
	}
	return nil
}

func logLevel(l *slog.Level, v string) error {
	switch v {
	case "debug":
		*l = slog.LevelDebug
	case "info":
		*l = slog.LevelInfo
	case "warn":
		*l = slog.LevelWarn
	case "error":
		*l = slog.LevelError
	default:
		return errors.New("use debug, info, warn or error")
	}
	return nil
}

func oneWord(v string) error {
	if strings.ContainsAny(v, " \t:/") {
		return errors.New("use the name of one group")
	}
	return nil
}
