package realserver

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const procSys = "/proc/sys"

func sysctl(key string) (string, error) {
	text, err := os.ReadFile(filepath.Join(procSys, key))
	return strings.TrimSpace(string(text)), err
}

// present reads settings.
func present(keys []string) (map[string]string, error) {
	now := map[string]string{}
	for _, key := range keys {
		value, err := sysctl(key)
		if err != nil {
			return nil, fmt.Errorf("read kernel setting: %w", err)
		}
		now[key] = value
	}
	return now, nil
}

// write changes settings, all of them even if one fails.
func write(values map[string]string) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := os.WriteFile(filepath.Join(procSys, key), []byte(values[key]+"\n"), 0); err != nil {
			errs = append(errs, fmt.Errorf("set %s to %s: %w", key, values[key], err))
		}
	}
	return errors.Join(errs...)
}

func keysOf(needs []need) []string {
	var keys []string
	for _, n := range needs {
		keys = append(keys, n.key)
	}
	return keys
}

// unmet says which settings are not as needed, "" when all are.
func unmet(needs []need) (string, error) {
	now, err := present(keysOf(needs))
	if err != nil {
		return "", err
	}
	var wrong []string
	for _, n := range needs {
		if !slices.Contains(n.will, now[n.key]) {
			wrong = append(wrong, fmt.Sprintf("%s is %s, not %s", strings.ReplaceAll(n.key, "/", "."), now[n.key], n.will[0]))
		}
	}
	return strings.Join(wrong, "; "), nil
}

// talkative names a device that would answer ARP for an address of another one
// in spite of conf/all: its own value is larger and means something else.
func talkative() (string, error) {
	devices, err := os.ReadDir(filepath.Join(procSys, "net/ipv4/conf"))
	if err != nil {
		return "", err
	}
	for _, d := range devices {
		if d.Name() == "all" || d.Name() == "default" {
			continue
		}
		value, err := sysctl("net/ipv4/conf/" + d.Name() + "/arp_ignore")
		if err != nil {
			continue // the device is gone
		}
		if value != "0" && !slices.Contains(silent, value) {
			return fmt.Sprintf("%s has arp_ignore=%s, by which it answers ARP for addresses of lo: set net.ipv4.conf.%s.arp_ignore to 0 or 1", d.Name(), value, d.Name()), nil
		}
	}
	return "", nil
}
