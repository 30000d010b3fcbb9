// Package watchdog feeds a hardware or software watchdog while this node may run
// what it runs. When the daemon hangs, is killed, or is not sure that everything
// has stopped after its lease, the machine is reset: that is what
// stonith-watchdog-timeout counts on.
//
// Nothing here opens a device that was not configured by name. One goroutine,
// [Watchdog.Run], owns the device. Source of the interface: the kernel's
// Documentation/watchdog/watchdog-api.rst.
package watchdog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device is an open watchdog.
type Device interface {
	// Feed puts the reset off by a whole timeout.
	Feed() error
	// Disarm ends the watch; the machine is not reset. It fails with a driver
	// that cannot be disarmed (nowayout).
	Disarm() error
	// Timeout is how long after the last Feed the machine is reset.
	Timeout() time.Duration
}

// feedsPerTimeout: three feeds may be late or lost.
const feedsPerTimeout = 4

// Watchdog ties a Device to the right to run.
type Watchdog struct {
	Device Device
	// May says whether the machine may live: the node's lease is valid, or
	// nothing runs here that could hurt.
	May func() bool
	Log *slog.Logger
}

// Run feeds while May says so. When ctx is done it disarms if the machine may
// live at that moment, and otherwise leaves the watchdog to its work.
func (w Watchdog) Run(ctx context.Context) error {
	tick := time.NewTicker(w.Device.Timeout() / feedsPerTimeout)
	defer tick.Stop()
	starving := false
	for {
		if w.May() {
			if starving {
				w.Log.Info("watchdog is fed again")
			}
			starving = false
			if err := w.Device.Feed(); err != nil {
				return fmt.Errorf("feed the watchdog: %w; the machine is reset within %v", err, w.Device.Timeout())
			}
		} else if !starving {
			starving = true
			w.Log.Error("the lease has ended and not everything is stopped: the watchdog resets this machine", "within", w.Device.Timeout())
		}
		select {
		case <-ctx.Done():
			if !w.May() {
				return errors.New("the watchdog stays armed: not everything is known to be stopped")
			}
			return w.Device.Disarm()
		case <-tick.C:
		}
	}
}

// file is a /dev/watchdog device.
type file struct {
	f       *os.File
	timeout time.Duration
}

// Open opens a device and asks for a timeout; the driver may give another one,
// which Timeout then tells. Opening arms the watchdog.
func Open(path string, timeout time.Duration) (Device, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("watchdog: %w", err)
	}
	d := &file{f: f}
	seconds := int32(max(1, (timeout+time.Second-1)/time.Second))
	if err := d.ioctl(unix.WDIOC_SETTIMEOUT, &seconds); err != nil && !errors.Is(err, unix.ENOTTY) && !errors.Is(err, unix.EOPNOTSUPP) {
		return nil, errors.Join(fmt.Errorf("watchdog %s: set a timeout of %d s: %w", path, seconds, err), d.Disarm())
	}
	if err := d.ioctl(unix.WDIOC_GETTIMEOUT, &seconds); err != nil {
		return nil, errors.Join(fmt.Errorf("watchdog %s: its timeout cannot be read: %w", path, err), d.Disarm())
	}
	d.timeout = time.Duration(seconds) * time.Second
	return d, nil
}

func (d *file) ioctl(request uint, value *int32) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, d.f.Fd(), uintptr(request), uintptr(unsafe.Pointer(value))); errno != 0 {
		return errno
	}
	return nil
}

// Feed implements Device.
func (d *file) Feed() error {
	var none int32
	return d.ioctl(unix.WDIOC_KEEPALIVE, &none)
}

// Disarm implements Device: the magic character before closing.
func (d *file) Disarm() error {
	_, err := d.f.Write([]byte("V"))
	return errors.Join(err, d.f.Close())
}

// Timeout implements Device.
func (d *file) Timeout() time.Duration { return d.timeout }
