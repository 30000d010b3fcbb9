package lab

import (
	"bufio"
	"encoding/binary"
	"os"
	"sync"
	"time"
)

// The capture is a pcap file (version 2.4, Ethernet) of the first bytes of every frame.
const (
	captureName  = "wire.pcap"
	captureFrame = 512      // bytes of a frame kept
	captureMost  = 64 << 20 // bytes of the file; later frames are not kept
)

// Capture records what went over all segments. A nil Capture records nothing. Safe for concurrent use.
type Capture struct {
	mu   sync.Mutex
	file *os.File
	w    *bufio.Writer
	left int
}

func newCapture(path string) (*Capture, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	header := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	header = binary.LittleEndian.AppendUint16(header, 2)
	header = binary.LittleEndian.AppendUint16(header, 4)
	header = append(header, make([]byte, 8)...) // UTC, no accuracy given
	header = binary.LittleEndian.AppendUint32(header, captureFrame)
	header = binary.LittleEndian.AppendUint32(header, 1) // LINKTYPE_ETHERNET
	c := &Capture{file: f, w: bufio.NewWriterSize(f, 64<<10), left: captureMost}
	_, err = c.w.Write(header)
	return c, err
}

func (c *Capture) frame(f []byte) {
	if c == nil {
		return
	}
	now := time.Now()
	kept := f[:min(len(f), captureFrame)]
	record := make([]byte, 0, 16)
	for _, v := range []int{int(now.Unix()), now.Nanosecond() / 1000, len(kept), len(f)} {
		record = binary.LittleEndian.AppendUint32(record, uint32(v))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left < len(record)+len(kept) {
		return
	}
	c.left -= len(record) + len(kept)
	c.w.Write(record)
	c.w.Write(kept)
}

func (c *Capture) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = 0
	c.w.Flush()
	c.file.Close()
}
