package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// mysqlGreeting reads the server's first packet and leaves. Servers count such
// visits as errors of the client's host and may refuse it after
// max_connect_errors of them in a row: give the check a user where that matters.
func (q *question) mysqlGreeting(ctx context.Context) (answer, error) {
	conn, err := q.dial(ctx, "tcp")
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	header := make([]byte, 4) // length (3 bytes), sequence number
	if _, err := io.ReadFull(conn, header); err != nil {
		return answer{}, err
	}
	size := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
	if size > maxAnswer {
		return answer{}, fmt.Errorf("a greeting of %d bytes: this is no MySQL server", size)
	}
	packet := make([]byte, size)
	if _, err := io.ReadFull(conn, packet); err != nil {
		return answer{}, err
	}
	return mysqlHandshake(packet)
}

// mysqlHandshake judges the first packet of a connection: a handshake of
// protocol version 9 or 10, or an error ("Protocol::HandshakeV10", "ERR_Packet"
// of the client/server protocol).
func mysqlHandshake(packet []byte) (answer, error) {
	if len(packet) == 0 {
		return answer{}, errors.New("an empty greeting: this is no MySQL server")
	}
	switch body := packet[1:]; packet[0] {
	case 9, 10:
		version, _, ok := bytes.Cut(body, []byte{0})
		if !ok {
			return answer{}, errors.New("a greeting without a version: this is no MySQL server")
		}
		return answer{text: clip("version " + string(version))}, nil
	case 0xff:
		if len(body) < 2 {
			return answer{}, errors.New("an error without a number: this is no MySQL server")
		}
		return answer{}, fmt.Errorf("error %d: %s", binary.LittleEndian.Uint16(body), body[2:])
	}
	return answer{}, fmt.Errorf("a greeting of type %d: this is no MySQL server", packet[0])
}

// pgsqlStartup asks as nobody in particular. Whoever asks for a password, or
// refuses the user or database, takes connections (as pg_isready sees it).
func (q *question) pgsqlStartup(ctx context.Context) (answer, error) {
	conn, err := q.dial(ctx, "tcp")
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	const body = "\x00\x03\x00\x00user\x00systole-check\x00database\x00postgres\x00\x00" // protocol 3.0
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)); err != nil {
		return answer{}, err
	}
	header := make([]byte, 5) // type, length with itself
	if _, err := io.ReadFull(conn, header); err != nil {
		return answer{}, err
	}
	size := binary.BigEndian.Uint32(header[1:])
	if size < 4 || size > maxAnswer {
		return answer{}, fmt.Errorf("an answer of type %q and %d bytes: this is no PostgreSQL server", header[0], size)
	}
	message := make([]byte, size-4)
	if _, err := io.ReadFull(conn, message); err != nil {
		return answer{}, err
	}
	if header[0] == 'R' {
		conn.Write([]byte{'X', 0, 0, 0, 4}) // Terminate
	}
	return pgsqlAnswer(header[0], message)
}

// pgsqlAnswer judges the first message of the server: Authentication…, or
// ErrorResponse with its SQLSTATE ("Message Formats", appendix A of the manual).
func pgsqlAnswer(kind byte, message []byte) (answer, error) {
	switch kind {
	case 'R', 'v': // Authentication…, NegotiateProtocolVersion
		return says("takes connections")
	case 'E':
	default:
		return answer{}, fmt.Errorf("an answer of type %q: this is no PostgreSQL server", kind)
	}
	state, text := "", ""
	for field := range bytes.SplitSeq(message, []byte{0}) {
		switch {
		case len(field) > 0 && field[0] == 'C':
			state = string(field[1:])
		case len(field) > 0 && field[0] == 'M':
			text = string(field[1:])
		}
	}
	// 28: invalid authorization, 3D: no such database. All else is trouble of its
	// own: 57P03 cannot_connect_now, 53300 too_many_connections, …
	if strings.HasPrefix(state, "28") || strings.HasPrefix(state, "3D") {
		return says("takes connections")
	}
	return answer{}, fmt.Errorf("error %s: %s", state, text)
}
