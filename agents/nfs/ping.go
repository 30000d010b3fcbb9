package nfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// ping asks the server for nothing: procedure 0 of NFS, to which every server has an
// answer (RFC 5531; RFC 7530, 16.1).
func ping(ctx context.Context, addr string, version uint32) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	xid := uint32(os.Getpid())
	if _, err := conn.Write(question(xid, version)); err != nil {
		return err
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		return fmt.Errorf("no answer from the server at %s: %w", addr, err)
	}
	size := binary.BigEndian.Uint32(head) &^ lastFragment
	if size > maxAnswer {
		return fmt.Errorf("the answer from %s has %d bytes", addr, size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(conn, body); err != nil {
		return fmt.Errorf("no answer from the server at %s: %w", addr, err)
	}
	return readAnswer(body, xid)
}

// Numbers of ONC RPC version 2.
const (
	lastFragment = 1 << 31
	maxAnswer    = 4096
	call, reply  = 0, 1
	rpcVersion   = 2
	nfsProgram   = 100003
)

// question is the call with its record mark: no credentials, no arguments.
func question(xid, version uint32) []byte {
	var b bytes.Buffer
	words := []uint32{xid, call, rpcVersion, nfsProgram, version, 0, 0, 0, 0, 0}
	binary.Write(&b, binary.BigEndian, uint32(4*len(words))|lastFragment)
	binary.Write(&b, binary.BigEndian, words)
	return b.Bytes()
}

// readAnswer wants: xid, REPLY, MSG_ACCEPTED, verifier, SUCCESS.
func readAnswer(b []byte, xid uint32) error {
	word := func() (v uint32) {
		if len(b) >= 4 {
			v, b = binary.BigEndian.Uint32(b), b[4:]
		} else {
			b = nil
		}
		return v
	}
	if len(b) < 24 || word() != xid || word() != reply {
		return errors.New("the server's answer is no reply")
	}
	if denied := word(); denied != 0 {
		return errors.New("the server denies the call")
	}
	word() // flavor of the verifier
	if skip := int(min(word(), maxAnswer)+3) &^ 3; skip <= len(b) {
		b = b[skip:]
	} else {
		return errors.New("the server's answer is cut short")
	}
	if len(b) < 4 {
		return errors.New("the server's answer is cut short")
	}
	if status := word(); status != 0 {
		return fmt.Errorf("the server does not serve this version (RPC status %d)", status)
	}
	return nil
}
