package idq

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/zmtp"
)

// hub is the DataLinkTargetService: it takes records from the device and hands
// them to the acquisitions that clients opened.
type hub struct {
	config Config
	faults faults
	tasks  *tasks
	log    *slog.Logger

	mu      sync.Mutex
	targets []*target // in the order they were opened
}

func newHub(config Config, f faults) *hub {
	h := &hub{config: config, faults: f, log: config.Log}
	if f.stale {
		for n := 1; n <= channels; n++ {
			t := newTarget(h, h.defaultID(config.Listen, n), n, false, discard{})
			t.heard = t.heard.Add(-time.Hour)
			h.targets = append(h.targets, t)
		}
	}
	return h
}

// begin starts the acquisitions that are open from the beginning.
func (h *hub) begin() {
	for _, t := range h.targets {
		h.tasks.run(t.run)
	}
}

// answer executes one command.
func (h *hub) answer(request string) answer {
	reply, err := h.execute(request)
	if err != nil {
		h.log.Debug("command refused", "request", request, "error", err)
		reply = struct {
			Error description `json:"error"`
		}{description{err.Error()}}
	}
	text, err := json.Marshal(reply)
	if err != nil {
		text = []byte(`{"error":{"description":"reply cannot be written"}}`)
	}
	return answer{text: string(text)}
}

type description struct {
	Description string `json:"description"`
}

func (h *hub) execute(request string) (any, error) {
	c, err := parseCommand(request)
	if err != nil {
		return nil, err
	}
	switch c.name {
	case "start-save":
		return h.start(c, h.openFile)
	case "start-stream":
		return h.start(c, h.openStream)
	case "status":
		t, err := h.find(c.id)
		if err != nil {
			return nil, err
		}
		return t.status(), nil
	case "stop":
		t, err := h.remove(c.id)
		if err != nil {
			return nil, err
		}
		t.finish()
		return map[string]any{"status": t.status()}, nil
	default: // list, the only other name that parses
		return h.list(), nil
	}
}

// start opens an acquisition.
func (h *hub) start(c dltCommand, open func(dltCommand) (outlet, error)) (any, error) {
	if err := h.reaches(c.address); err != nil {
		return nil, err
	}
	id := c.id
	if id == "" {
		id = h.defaultID(c.address, c.channel)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.targets {
		if t.id == id {
			return nil, fmt.Errorf("acquisition %q is already open", id)
		}
		if t.channel == c.channel {
			return nil, fmt.Errorf("channel %d is already used by acquisition %q", c.channel, t.id)
		}
	}
	out, err := open(c)
	if err != nil {
		return nil, err
	}
	t := newTarget(h, id, c.channel, c.withIndex, out)
	h.targets = append(h.targets, t)
	h.tasks.run(t.run)
	return map[string]string{"id": id}, nil
}

// defaultID is the id of an acquisition that was given none.
func (h *hub) defaultID(address string, channel int) string {
	return hostPort(address, SCPIPort+channel)
}

// reaches refuses an address at which there is no Time Controller. Where the
// simulator listens on all addresses it cannot tell, and believes the client.
func (h *hub) reaches(address string) error {
	own := net.ParseIP(h.config.Listen)
	if address == h.config.Listen || own != nil && own.IsUnspecified() {
		return nil
	}
	if asked := net.ParseIP(address); asked != nil && own != nil && asked.Equal(own) {
		return nil
	}
	if own != nil && own.IsLoopback() && address == "localhost" {
		return nil
	}
	return fmt.Errorf("no Time Controller answers at %q; this simulated one is at %s", address, h.config.Listen)
}

func (h *hub) openFile(c dltCommand) (outlet, error) {
	path := c.filename
	if !filepath.IsAbs(path) {
		path = filepath.Join(h.config.Folder, path)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return newFileOutlet(f, c.ascii), nil
}

func (h *hub) openStream(c dltCommand) (outlet, error) {
	l, err := zmtp.Listen("tcp", hostPort(h.config.Listen, c.streamPort), zmq4.Pair, zmtp.Options{MaxConns: 4, MaxFrame: maxRequest})
	if err != nil {
		return nil, err
	}
	return &streamOutlet{listener: l, log: h.log}, nil
}

func (h *hub) find(id string) (*target, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.search(id)
}

func (h *hub) search(id string) (*target, error) {
	for _, t := range h.targets {
		if t.id == id {
			return t, nil
		}
	}
	return nil, fmt.Errorf("no acquisition %s is open", clip(id))
}

func (h *hub) remove(id string) (*target, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, err := h.search(id)
	if err == nil {
		h.targets = slices.DeleteFunc(h.targets, func(x *target) bool { return x == t })
	}
	return t, err
}

func (h *hub) list() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]string, len(h.targets))
	for i, t := range h.targets {
		ids[i] = t.id
	}
	return ids
}

// claimed reports whether an acquisition is open on a channel.
func (h *hub) claimed(channel int) bool { return h.on(channel) != nil }

func (h *hub) on(channel int) *target {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.targets {
		if t.channel == channel {
			return t
		}
	}
	return nil
}

// deliver queues a part for the acquisition on its channel. It never blocks.
func (h *hub) deliver(p part) {
	if t := h.on(p.channel); t != nil {
		t.put(p)
		return
	}
	p.gone.Add(uint64(len(p.values)))
}

// crash is the fault of a service that dies and is started again: streams end
// without a last message, and nobody knows of any acquisition.
func (h *hub) crash() {
	h.mu.Lock()
	dying := h.targets
	h.targets = nil
	h.mu.Unlock()
	for _, t := range dying {
		t.kill()
	}
}
