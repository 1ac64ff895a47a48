package transfer

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

const (
	maxConns     = 64
	maxHashing   = 2                // files verified at once; each takes a core
	chunkTimeout = 30 * time.Second // for the bytes of a chunk whose head is here
	progressStep = 1 << 20          // bytes between two Progress of a file
)

// Receiver receives files from every node it has admitted. Its methods may be
// called from any goroutine.
type Receiver struct {
	listener *zmtp.Listener
	log      *slog.Logger
	progress newest
	hashing  chan bool // holds one value for each file being verified

	life    context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	sessions map[[16]byte]*session
}

// NewReceiver opens the files port at addr, host:port. Run receives what comes. A
// nil log writes nothing.
func NewReceiver(addr string, log *slog.Logger) (*Receiver, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l, err := zmtp.Listen("tcp", addr, zmq4.Pull, zmtp.Options{MaxConns: maxConns, MaxFrame: MaxChunk, Displace: true})
	if err != nil {
		return nil, err
	}
	r := &Receiver{listener: l, log: log, progress: newNewest(), hashing: make(chan bool, maxHashing), sessions: map[[16]byte]*session{}}
	r.life, r.stop = context.WithCancel(context.Background())
	r.running.Go(func() { r.progress.run(r.life) })
	return r, nil
}

// Addr returns the address listened on.
func (r *Receiver) Addr() net.Addr { return r.listener.Addr() }

// Progress returns the channel of what happens to files. A reader that is slow
// gets only the newest about each file; one that does not read holds up nothing.
func (r *Receiver) Progress() <-chan Progress { return r.progress.get }

// Admit lets a node that shows token write files below dir/raw/node.
func (r *Receiver) Admit(token [16]byte, node, dir string) {
	s := &session{node: node, files: map[uint32]*incoming{}, names: map[string]bool{}}
	s.root, s.err = os.OpenRoot(dir)
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.sessions[token]; old != nil {
		if s.root != nil {
			s.root.Close()
		}
		return
	}
	r.sessions[token] = s
}

func (r *Receiver) session(token [16]byte) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[token]
}

// Run receives chunks until ctx ends or Close, and returns nil then.
func (r *Receiver) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()
	r.listener.Serve(ctx, func(c *zmtp.Conn) {
		if err := r.receiveChunks(c); err != io.EOF && ctx.Err() == nil {
			r.log.Warn("file connection ended", "peer", c.RemoteAddr().String(), "error", err)
		}
	})
	return nil
}

// receiveChunks receives the chunks of one connection until it ends. A chunk that
// cannot be read ends it; one that cannot be used is dropped, and missed later.
func (r *Receiver) receiveChunks(c *zmtp.Conn) error {
	var frame [headSize]byte
	var bytes []byte
	for {
		b, more, err := c.ReadFrame(frame[:])
		if err != nil {
			return err
		}
		h, err := decodeHead(b)
		if err != nil {
			return err
		}
		s := r.session(h.token)
		if s == nil {
			return errors.New("take chunk: its token belongs to no session")
		}
		if !more {
			return errors.New("take chunk: its bytes are missing")
		}
		if int(h.length) > len(bytes) {
			bytes = make([]byte, h.length) // at most MaxChunk, and for a node that was admitted
		}
		if err := readBytes(c, bytes[:h.length]); err != nil {
			return err
		}
		r.writeChunk(s, h, bytes[:h.length])
	}
}

// readBytes reads the second and last frame of a chunk, which fills b.
func readBytes(c *zmtp.Conn, b []byte) error {
	if err := c.SetReadDeadline(time.Now().Add(chunkTimeout)); err != nil {
		return err
	}
	size, more, err := c.NextFrame()
	if err != nil {
		return err
	}
	if size != uint64(len(b)) || more {
		return fmt.Errorf("take chunk: %d bytes came for %d", size, len(b))
	}
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	return c.SetReadDeadline(time.Time{})
}

// writeChunk writes one chunk to its file, where it is undamaged and asked for.
func (r *Receiver) writeChunk(s *session, h head, b []byte) {
	whole := crc32.Checksum(b, tag.Castagnoli) == h.sum
	s.mu.Lock()
	in := s.files[h.file]
	useful := in != nil && in.state == receiving && Range{int64(h.offset), int64(h.length)}.check(in.file.Size) == nil
	if useful && !whole {
		in.damaged++
		r.log.Warn("chunk damaged on its way; it is asked for again", "node", s.node, "file", in.file.Name, "offset", h.offset)
	}
	if useful && whole {
		in.writing++
		s.mu.Unlock()
		_, err := in.part.WriteAt(b, int64(h.offset)) // unlocked: a slow disk delays no answer
		s.mu.Lock()
		in.writing--
		if err != nil {
			s.refuse(in, explain("write "+in.file.Name, err))
		} else {
			in.got, _ = in.got.add(span{int64(h.offset), int64(h.offset) + int64(h.length)})
		}
	}
	s.taken = max(s.taken, h.number)
	if in != nil && in.state != reserving {
		r.verifyWhenComplete(s, in)
	}
	s.mu.Unlock()
}

// verifyWhenComplete starts to verify a file that is complete, and reports progress. The
// caller holds s.mu.
func (r *Receiver) verifyWhenComplete(s *session, in *incoming) {
	if in.state == receiving && in.writing == 0 && in.got.bytes() == in.file.Size {
		in.state = verifying
		r.running.Go(func() { r.verify(s, in) })
	}
	r.reportProgress(s, in)
}

// Ask answers a node's question about a file, which announces the file too:
// chunks of a file nobody asked about are dropped. The first question waits for
// the disk to make room; meanwhile others are answered, those about the same
// file with nothing yet.
func (r *Receiver) Ask(token [16]byte, f File) Answer {
	s := r.session(token)
	if s == nil {
		return Answer{Refused: "the token belongs to no session of this run"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Path = ""
	in := s.files[f.ID]
	if in == nil {
		var err error
		if in, err = s.announce(f); err == nil {
			err = s.makeRoom(in)
		}
		if err != nil {
			r.log.Error("file refused", "node", s.node, "file", f.Name, "error", err)
			return Answer{Refused: err.Error()}
		}
		if in.state == verifying { // it was there already
			r.running.Go(func() { r.verify(s, in) })
		}
		r.verifyWhenComplete(s, in)
	}
	if in.file != f {
		return Answer{Refused: fmt.Sprintf("file %d was announced as %s of %d bytes with SHA-256 %s", f.ID, in.file.Name, in.file.Size, in.file.SHA256)}
	}
	return in.answer(s.taken)
}

// Admitted reports whether token is that of a session.
func (r *Receiver) Admitted(token [16]byte) bool { return r.session(token) != nil }

// Verified reports whether a file has been verified. It does not use the disk.
func (r *Receiver) Verified(token [16]byte, f File) bool {
	s := r.session(token)
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Path = ""
	in := s.files[f.ID]
	return in != nil && in.file == f && in.state == verified
}

// Close closes the port and ends Run; nobody may ask any more. What has not been
// verified stays as .part.
func (r *Receiver) Close() error {
	r.stop()
	err := r.listener.Close()
	r.running.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sessions {
		s.close()
	}
	return err
}
