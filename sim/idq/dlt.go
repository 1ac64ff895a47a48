package idq

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
// simulator listens on all addresses it cannot know, and takes what the client says.
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

// dltCommand is one parsed command.
type dltCommand struct {
	name       string
	id         string
	address    string
	channel    int
	streamPort int
	filename   string
	ascii      bool
	withIndex  bool
}

// options lists what each command takes, and whether it must be given.
var options = map[string]map[string]bool{
	"start-save":   {"id": false, "address": true, "channel": true, "filename": true, "format": false, "with-ref-index": false},
	"start-stream": {"id": false, "address": true, "channel": true, "stream-port": true, "with-ref-index": false},
	"status":       {"id": true},
	"stop":         {"id": true},
	"list":         {},
}

// parseCommand reads one command and its options. A word without a name in
// front of it is the id.
func parseCommand(request string) (dltCommand, error) {
	words, err := splitWords(request)
	if err != nil {
		return dltCommand{}, err
	}
	if len(words) == 0 {
		return dltCommand{}, errors.New("command is missing")
	}
	c := dltCommand{name: words[0]}
	known, ok := options[c.name]
	if !ok {
		return dltCommand{}, fmt.Errorf("unknown command %s", clip(c.name))
	}
	given := map[string]bool{}
	for rest := words[1:]; len(rest) > 0; {
		var name string
		if name, rest, err = c.option(rest, known); err != nil {
			return dltCommand{}, err
		}
		if given[name] {
			return dltCommand{}, fmt.Errorf("option '--%s' is given twice", name)
		}
		given[name] = true
	}
	for _, name := range []string{"id", "address", "channel", "stream-port", "filename"} {
		if known[name] && !given[name] {
			return dltCommand{}, fmt.Errorf("the option '--%s' is required but missing", name)
		}
	}
	return c, nil
}

func (c *dltCommand) set(name, v string) (err error) {
	switch name {
	case "id":
		c.id = v
	case "address":
		c.address = v
	case "channel":
		c.channel, err = within(name, v, 1, channels)
	case "stream-port":
		c.streamPort, err = within(name, v, 1, 65535)
	case "filename":
		c.filename = v
	case "format":
		if c.ascii = v == "ascii"; !c.ascii && v != "bin" {
			err = fmt.Errorf("the argument (%s) for option '--format' is neither bin nor ascii", clip(v))
		}
	}
	if err == nil && v == "" {
		err = fmt.Errorf("the argument for option '--%s' is empty", name)
	}
	return err
}

func within(name, v string, low, high int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("the argument (%s) for option '--%s' is no number from %d to %d", clip(v), name, low, high)
	}
	return n, nil
}

// option takes one option, or the id without a name, off the front of words.
func (c *dltCommand) option(words []string, known map[string]bool) (name string, rest []string, err error) {
	name, named := strings.CutPrefix(words[0], "--")
	if !named {
		if _, takesID := known["id"]; !takesID || strings.HasPrefix(words[0], "-") {
			return "", nil, fmt.Errorf("unrecognised option '%s'", words[0])
		}
		return "id", words[1:], c.set("id", words[0])
	}
	name, v, joined := strings.Cut(name, "=")
	if _, ok := known[name]; !ok {
		return "", nil, fmt.Errorf("unrecognised option '--%s'", name)
	}
	rest = words[1:]
	if name == "with-ref-index" {
		c.withIndex = true
		if joined {
			err = errors.New("option '--with-ref-index' takes no argument")
		}
		return name, rest, err
	}
	if !joined {
		if len(rest) == 0 {
			return "", nil, fmt.Errorf("the required argument for option '--%s' is missing", name)
		}
		v, rest = rest[0], rest[1:]
	}
	return name, rest, c.set(name, v)
}

// splitWords cuts a line at spaces. A word in double quotes may hold spaces; a
// backslash inside quotes takes the next character as it is.
func splitWords(line string) ([]string, error) {
	var words []string
	var word []byte
	inWord, quoted := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\\' && i+1 < len(line):
			i++
			word = append(word, line[i])
		case c == '"':
			quoted, inWord = !quoted, true
		case !quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			if inWord {
				words, word, inWord = append(words, string(word)), word[:0], false
			}
		default:
			word, inWord = append(word, c), true
		}
	}
	if quoted {
		return nil, errors.New("a quotation mark is not closed")
	}
	if inWord {
		words = append(words, string(word))
	}
	return words, nil
}
