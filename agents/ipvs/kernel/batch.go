package kernel

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"

	"systole/agents/ipvs/table"
)

// batchSize is how many operations go to the kernel in one message of messages: at
// most 200 bytes each, far below a socket's 208 kB.
const batchSize = 128

func (h *Handle) applyAll(ops []table.Op) error {
	for batch := range slices.Chunk(ops, batchSize) {
		msgs := make([]genetlink.Message, len(batch))
		for i, op := range batch {
			var err error
			if msgs[i], err = encodeOp(op); err != nil {
				return fmt.Errorf("ipvs %s: %w", op, err)
			}
		}
		if err := h.command(msgs...); err != nil {
			return fmt.Errorf("ipvs: %d operations at once: %w", len(batch), err)
		}
	}
	return nil
}

// command sends commands and waits until they are done. They ask for no
// acknowledgement: the kernel works in order and reports a refusal in any case. A
// question at the end, which it always answers, tells that all was done. For one
// command an acknowledgement would not do: a sync daemon stopped before
// its thread ran makes the command end with EINTR, and netlink says nothing at
// all then (netlink_rcv_skb).
func (h *Handle) command(commands ...genetlink.Message) error {
	end, err := message(cmdGetInfo, nil)
	if err != nil {
		return err
	}
	var msgs []netlink.Message
	for _, m := range append(commands, end) {
		data, err := m.MarshalBinary()
		if err != nil {
			return err
		}
		msgs = append(msgs, netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(h.family), Flags: netlink.Request}, Data: data})
	}
	if err := h.raw.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return err
	}
	sent, err := h.raw.SendMessages(msgs)
	if err != nil {
		return err
	}
	return h.renew(h.await(sent[len(sent)-1].Header.Sequence, len(sent)))
}

// await reads answers, one for each message at most, up to the last one's: none
// is left for the next question.
func (h *Handle) await(last uint32, most int) error {
	var refused []error
	for range most {
		msgs, err := h.raw.Receive()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case err != nil:
			refused = append(refused, err)
		case slices.ContainsFunc(msgs, func(m netlink.Message) bool { return m.Header.Sequence == last }):
			return errors.Join(refused...)
		}
	}
	return errors.Join(append(refused, errors.New("the kernel did not answer"))...)
}

// message is a command with what is encoded for it.
func message(cmd uint8, encode func(*netlink.AttributeEncoder)) (genetlink.Message, error) {
	ae := netlink.NewAttributeEncoder()
	if encode != nil {
		encode(ae)
	}
	data, err := ae.Encode()
	return genetlink.Message{Header: genetlink.Header{Command: cmd, Version: familyVersion}, Data: data}, err
}

func encodeOp(op table.Op) (genetlink.Message, error) {
	key := func(ae *netlink.AttributeEncoder) { encodeKey(ae, op.Service.Key) }
	service := func(ae *netlink.AttributeEncoder) { encodeService(ae, op.Service) }
	server := func(ae *netlink.AttributeEncoder) {
		key(ae)
		encodeServer(ae, op.Server)
	}
	switch op.Verb {
	case table.AddService:
		return message(cmdNewService, service)
	case table.SetService:
		return message(cmdSetService, service)
	case table.DeleteService:
		return message(cmdDelService, key)
	case table.AddServer:
		return message(cmdNewDest, server)
	case table.SetServer:
		return message(cmdSetDest, server)
	case table.DeleteServer:
		return message(cmdDelDest, server)
	}
	panic(fmt.Sprintf("no such verb: %d", op.Verb))
}
