package ipvs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"systole/agents/ipvs/config"
	"systole/agents/ipvs/table"
)

// setting is one kernel setting: its path below the root, and its value.
type setting struct{ path, value string }

// wantedSettings are what a configuration needs of the kernel. What the
// configuration's own lines say comes last and so wins. interfaces are those
// packets may be forwarded over, known says which settings the kernel has.
func wantedSettings(c config.Config, sync bool, interfaces []string, known func(path string) bool) []setting {
	var masq4, masq6, persistent bool
	for _, v := range c.Virtuals {
		persistent = persistent || v.Persistent > 0
		for _, r := range v.Reals {
			masq4 = masq4 || r.Forward == table.Masquerade && v.Family == table.IPv4
			masq6 = masq6 || r.Forward == table.Masquerade && v.Family == table.IPv6
		}
	}
	// A client, or the one address of many behind a gateway, uses a port again while the kernel
	// still has the connection before. Without these the new one goes to that one's
	// server, or into the dark when that has gone (Documentation/networking/ipvs-sysctl.rst).
	all := []setting{
		{"net/ipv4/vs/conn_reuse_mode", "3"},
		{"net/ipv4/vs/expire_nodest_conn", "1"},
	}
	if !known("net/ipv4/vs/conn_reuse_mode") { // before Linux 4.1, and in user namespaces
		all = nil
	}
	if masq4 {
		all = append(all, setting{"net/ipv4/ip_forward", "1"})
		// On one network a redirect would tell the real server a way around the director.
		for _, i := range interfaces {
			all = append(all, setting{"net/ipv4/conf/" + i + "/send_redirects", "0"})
		}
	}
	if masq6 {
		all = append(all, setting{"net/ipv6/conf/all/forwarding", "1"})
	}
	if persistent {
		all = append(all, setting{"net/ipv4/vs/expire_quiescent_template", "1"}) // or a drained server keeps its clients
	}
	if sync {
		all = append(all,
			setting{"net/ipv4/vs/backup_only", "1"},
			setting{"net/ipv4/vs/sync_threshold", "2 50"}, // the packet that ends a TCP handshake
		)
	}
	for _, s := range c.Sysctls {
		n := setting{strings.ReplaceAll(s.Name, ".", "/"), s.Value}
		all = slices.DeleteFunc(all, func(o setting) bool { return o.path == n.path })
		all = append(all, n)
	}
	return all
}

// sysctls reads and writes settings below a directory, /proc/sys but in tests.
type sysctls struct{ root string }

// interfaces are the entries of net/ipv4/conf but the loopback's.
func (s sysctls) interfaces() []string {
	entries, _ := os.ReadDir(filepath.Join(s.root, "net/ipv4/conf"))
	var names []string
	for _, e := range entries {
		if e.Name() != "lo" {
			names = append(names, e.Name())
		}
	}
	return names
}

// has says whether the kernel has a setting.
func (s sysctls) has(path string) bool {
	_, err := os.Stat(filepath.Join(s.root, path))
	return err == nil
}

func (s sysctls) read(path string) (string, error) {
	data, err := os.ReadFile(filepath.Join(s.root, path))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("this kernel has no setting %s", dotted(path))
	}
	return strings.Join(strings.Fields(string(data)), " "), err
}

func (s sysctls) write(path, value string) error {
	if err := os.WriteFile(filepath.Join(s.root, path), []byte(value+"\n"), 0o644); err != nil {
		return fmt.Errorf("set %s=%s: %w", dotted(path), value, err)
	}
	return nil
}

// dotted is a path as people write it.
func dotted(path string) string {
	return strings.NewReplacer("/", ".", ".", "/").Replace(path)
}
