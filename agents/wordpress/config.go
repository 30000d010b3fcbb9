package wordpress

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"systole/agents/internal/ocferr"
	"systole/resources"
)

// written marks the configuration files of this agent.
const written = "// Written by ocf:systole:wordpress; changes are lost."

// configure writes the configuration, then the secrets that make it work.
func (s site) configure() error {
	old, err := os.ReadFile(s.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("configuration of wordpress: %w", err)
	}
	if len(old) > 0 && !bytes.Contains(old, []byte(written)) {
		return ocferr.Errorf(resources.ErrInstalled, "%s was not written by this agent: remove it, or name another file with the parameter config", s.config)
	}
	_, gid, err := s.ids()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.secretFile), 0o755); err != nil {
		return fmt.Errorf("secret file of wordpress: %w", err)
	}
	if text := s.configText(); text != string(old) {
		if err := renameio.WriteFile(s.config, []byte(text), 0o644, renameio.IgnoreUmask()); err != nil {
			return fmt.Errorf("configuration of wordpress: %w", err)
		}
	}
	f, err := renameio.NewPendingFile(s.secretFile, renameio.WithPermissions(0o640), renameio.IgnoreUmask())
	if err != nil {
		return fmt.Errorf("secret file of wordpress: %w", err)
	}
	defer f.Cleanup()
	_, err = f.WriteString(s.secretText())
	if err := errors.Join(err, f.Chown(0, gid), f.CloseAtomicallyReplace()); err != nil {
		return fmt.Errorf("secret file of wordpress: %w", err)
	}
	return nil
}

// configured tells whether both files are as they should be.
func (s site) configured() (bool, error) {
	config, err1 := os.ReadFile(s.config)
	secret, err2 := os.ReadFile(s.secretFile)
	return string(config) == s.configText() && string(secret) == s.secretText(), errors.Join(err1, err2)
}

// configText has no secrets: it may be read by all.
func (s site) configText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<?php\n%s\n", written)
	fmt.Fprintf(&b, "if (!is_readable(%[1]s)) { http_response_code(503); exit('This node does not serve the site.'); }\nrequire %[1]s;\n", phpString(s.secretFile))
	define := func(name, value string) { fmt.Fprintf(&b, "define('%s', %s);\n", name, phpString(value)) }
	define("DB_NAME", s.db.name)
	define("DB_USER", s.db.user)
	define("DB_HOST", s.db.host)
	define("DB_CHARSET", "utf8mb4")
	define("DB_COLLATE", "")
	define("WP_HOME", strings.TrimSuffix(s.url.String(), "/"))
	define("WP_SITEURL", strings.TrimSuffix(s.url.String(), "/"))
	define("WP_CONTENT_DIR", s.contentDir)
	b.WriteString("define('WP_AUTO_UPDATE_CORE', false);\ndefine('AUTOMATIC_UPDATER_DISABLED', true); // all nodes have one version\n")
	fmt.Fprintf(&b, "$table_prefix = %s;\n", phpString(s.db.prefix))
	if s.config == filepath.Join(s.docroot, "wp-config.php") {
		b.WriteString("if (!defined('ABSPATH')) { define('ABSPATH', __DIR__ . '/'); }\nrequire_once ABSPATH . 'wp-settings.php';\n")
	}
	return b.String()
}

// authKeys are the names WordPress signs sessions with.
var authKeys = []string{"AUTH_KEY", "SECURE_AUTH_KEY", "LOGGED_IN_KEY", "NONCE_KEY", "AUTH_SALT", "SECURE_AUTH_SALT", "LOGGED_IN_SALT", "NONCE_SALT"}

// secretText is the same on all nodes, so that a session outlives its node.
func (s site) secretText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<?php\n%s\ndefine('DB_PASSWORD', %s);\n", written, phpString(s.db.password))
	for _, name := range authKeys {
		mac := hmac.New(sha256.New, []byte(s.authSecret))
		mac.Write([]byte("wordpress " + name))
		fmt.Fprintf(&b, "define('%s', '%s');\n", name, hex.EncodeToString(mac.Sum(nil)))
	}
	return b.String()
}

// phpString is a literal in single quotes.
func phpString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// writable tries the uploads as PHP's user: root's own rights say nothing, least
// of all over NFS.
func (s site) writable() error {
	uid, gid, err := s.ids()
	if err != nil {
		return err
	}
	if err := as(uid, gid, func() error {
		f, err := os.CreateTemp(s.uploads, ".systole-*") // all web nodes do this in one directory
		if err != nil {
			return err
		}
		_, err = f.WriteString("written to see whether it can be\n")
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}); err != nil {
		return fmt.Errorf("uploads are not writable by %s: %w", s.user, err)
	}
	return nil
}

// as runs f with another user's rights over files (setfsuid(2) holds for one thread).
func as(uid, gid int, f func() error) error {
	if os.Getuid() != 0 {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		// setfsuid returns no error, only the old value: a second call tells.
		_, _ = unix.SetfsgidRetGid(gid)
		_, _ = unix.SetfsuidRetUid(uid)
		if now, _ := unix.SetfsuidRetUid(-1); now != uid {
			done <- fmt.Errorf("the rights of user %d cannot be taken", uid)
			return
		}
		done <- f()
	}()
	return <-done
}
