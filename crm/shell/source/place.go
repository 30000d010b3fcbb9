// Package source is where a tool's CIB comes from and goes to: a file
// (CIB_file), a shadow copy (CIB_shadow) or the live cluster through the
// daemon's API. A tool written to [Source] works on all three.
//
// Writes to a file follow the same operations, version rules and refusals as
// the live cluster's log.
package source

import (
	"os"
	"path/filepath"
)

// Kind says what holds the CIB.
type Kind int

// The kinds of place.
const (
	Live Kind = iota
	File
	Shadow
)

// Place is where the CIB is.
type Place struct {
	Kind Kind
	// Path of the file or shadow; for Live the daemon's socket, "" for the default.
	Path string
	// Name of the shadow.
	Name string
}

// Locate reads the environment as Pacemaker's tools do: CIB_shadow wins over
// CIB_file, and neither set means the live cluster (SYSTOLE_SOCKET).
func Locate(env func(string) string) Place {
	if name := env("CIB_shadow"); name != "" {
		return Place{Kind: Shadow, Path: ShadowPath(env, name), Name: name}
	}
	if path := env("CIB_file"); path != "" {
		return Place{Kind: File, Path: path}
	}
	return Place{Kind: Live, Path: env("SYSTOLE_SOCKET")}
}

// ShadowPath is the file of a shadow CIB: CIB_shadow_dir, else
// /var/lib/pacemaker/cib for root, else ~/.cib; "shadow." before the name.
func ShadowPath(env func(string) string, name string) string {
	return filepath.Join(ShadowDir(env), "shadow."+name)
}

// ShadowDir is the directory of shadow CIBs.
func ShadowDir(env func(string) string) string {
	if dir := env("CIB_shadow_dir"); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 {
		return "/var/lib/pacemaker/cib"
	}
	return filepath.Join(env("HOME"), ".cib")
}
