package sdktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
	"tsrun/sdk/pluginpb"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
	"tsrun/sdk/zmtp"
)

// sink is a sink that has been opened.
type sink struct {
	*process
	suite  *Suite
	rpc    pluginpb.SinkClient
	dir    string // of its recording
	run    tag.RunID
	listen *zmtp.Listener
	conn   *zmtp.Conn
	sent   map[uint16]*stream
	length time.Duration // of a segment
	ring   *ring         // that it is offered; nil: none
	events sinkEvents
	heard  chan struct{} // closed when nothing more will be told
}

// stream is what a sink was sent.
type stream struct {
	seq, until, lost uint64
	tags             []uint64
}

// sinkEvents is what a sink has told so far.
type sinkEvents struct {
	mu       sync.Mutex
	files    []*pluginpb.Artifact
	kept     map[uint32]uint64
	keptTold uint64
	failed   *pluginpb.Failure
}

// The streams of every recording: one with tags, and one without.
const busy, quiet = 20, 21

// openSink opens the sink in a fresh process, and watches what it tells.
func (s *Suite) openSink(ctx context.Context) (*sink, error) {
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	k := &sink{process: p, suite: s, rpc: pluginpb.NewSinkClient(p.conn), dir: filepath.Join(p.dir, "recording"), run: tag.RunID{1, 7: 0x5A},
		sent: map[uint16]*stream{busy: {}, quiet: {}}, length: time.Second, heard: make(chan struct{})}
	k.events.kept = map[uint32]uint64{}
	_, err = call(ctx, k.rpc.Configure, s.configuration(p, s.Config))
	if err == nil {
		err = os.Mkdir(k.dir, 0o700)
	}
	if err == nil {
		k.listen, err = zmtp.Listen("unix", filepath.Join(p.dir, "out"), zmq4.Push, zmtp.Options{MaxConns: 1, MaxFrame: tag.MaxPayload})
	}
	if err != nil {
		p.end()
		return nil, p.because("open the sink: %w", err)
	}
	k.atEnd = append(k.atEnd, k.hangUp)
	go k.watch(context.WithoutCancel(ctx))
	return k, nil
}

// hangUp ends the connections of the core.
func (k *sink) hangUp() {
	k.listen.Close()
	if k.conn != nil {
		k.conn.Close()
	}
}

func (k *sink) watch(ctx context.Context) {
	defer close(k.heard)
	events, err := k.rpc.Watch(ctx, &pluginpb.WatchRequest{})
	for err == nil {
		var e *pluginpb.SinkEvent
		if e, err = events.Recv(); err == nil {
			k.events.take(e)
		}
	}
}

func (t *sinkEvents) take(e *pluginpb.SinkEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch what := e.What.(type) {
	case *pluginpb.SinkEvent_Closed:
		t.files = append(t.files, what.Closed)
	case *pluginpb.SinkEvent_Kept:
		t.kept[what.Kept.Stream] = what.Kept.Tags
		t.keptTold++
	case *pluginpb.SinkEvent_Failed:
		t.failed = what.Failed
	}
}

// told returns the files that were told of, and the failure.
func (k *sink) told() ([]*pluginpb.Artifact, *pluginpb.Failure) {
	k.events.mu.Lock()
	defer k.events.mu.Unlock()
	return slices.Clone(k.events.files), k.events.failed
}

func (k *sink) request() *pluginpb.BeginRequest {
	ring := ""
	if k.ring != nil {
		ring = k.ring.listener.Addr().String()
	}
	return &pluginpb.BeginRequest{Ring: ring, Run: k.run[:], Dir: k.dir, SegmentNs: int64(k.length), Endpoint: "ipc://" + filepath.Join(k.process.dir, "out"),
		Streams: []*pluginpb.RecordedStream{{Stream: busy, Name: "busy"}, {Stream: quiet, Name: "quiet"}}}
}

// begin lets the sink record.
func (k *sink) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	if _, err := call(ctx, k.rpc.Begin, k.request()); err != nil {
		return k.because("begin: %w", err)
	}
	var err error
	k.conn, err = k.listen.Accept(ctx)
	return err
}

// send sends a block of tags, or a mark where there are none.
func (k *sink) send(id uint16, until, lost uint64, tags ...uint64) error {
	kind := tag.Data
	if len(tags) == 0 {
		kind = tag.Mark
	}
	return k.block(tag.Block{Kind: kind, Stream: id, Until: until, Lost: lost, Tags: tags})
}

func (k *sink) block(b tag.Block) error {
	s := k.sent[b.Stream]
	b.Run, b.Seq = k.run, s.seq
	s.seq++
	s.until, s.lost, s.tags = max(s.until, b.Until), s.lost+b.Lost, append(s.tags, b.Tags...)
	header := make([]byte, tag.HeaderSize)
	b.EncodeHeader(header)
	return k.conn.Send(10*time.Second, header, k.payload(b.Tags))
}

// sendEnd ends both streams.
func (k *sink) sendEnd() error {
	var until uint64
	for _, s := range k.sent {
		until = max(until, s.until)
	}
	return errors.Join(k.block(tag.Block{Kind: tag.End, Stream: busy, Until: until}), k.block(tag.Block{Kind: tag.End, Stream: quiet, Until: until}))
}

// finish makes everything durable and returns when all of it was told.
func (k *sink) finish(ctx context.Context) error {
	r, err := call(ctx, k.rpc.Finish, &pluginpb.FinishRequest{})
	if err != nil {
		return k.because("finish: %w", err)
	}
	var files, kept uint64
	told := waitFor(ctx, 5*time.Second, func() bool {
		k.events.mu.Lock()
		defer k.events.mu.Unlock()
		files, kept = uint64(len(k.events.files)), k.events.keptTold
		return files >= r.Artifacts && kept >= r.Kept
	})
	if !told || files > r.Artifacts || kept > r.Kept {
		return fmt.Errorf("the answer of Finish says %d files and %d numbers of tags, %d and %d were told", r.Artifacts, r.Kept, files, kept)
	}
	return nil
}

// waitFor asks every 5 ms whether something is so; false when it was not within
// that time, or ctx ended.
func waitFor(ctx context.Context, within time.Duration, so func() bool) bool {
	for late := time.Now().Add(within); !so(); {
		if time.Now().After(late) || !instrument.Pause(ctx, 5*time.Millisecond) {
			return false
		}
	}
	return true
}

// close lets go of the sink and of the process.
func (k *sink) close(ctx context.Context) error {
	calling, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := k.rpc.Close(calling, &pluginpb.CloseRequest{}); err != nil {
		return k.because("close: %w", err)
	}
	return k.leave(ctx, k.heard)
}

// proven checks each file that was told of against its bytes, and that no other
// file looks as if it were one.
func (k *sink) proven() error {
	seen, err := k.provenFiles()
	if err != nil {
		return err
	}
	return filepath.WalkDir(k.dir, func(at string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(k.dir, at)
		if rel = filepath.ToSlash(rel); err == nil && !seen[rel] && !unfinished(rel) {
			return fmt.Errorf("there is a file %s that was not told of: an unfinished one begins with a dot or ends in .part or .tmp", rel)
		}
		return err
	})
}

// provenFiles checks each file that was told of against its bytes, and returns
// their names.
func (k *sink) provenFiles() (map[string]bool, error) {
	files, _ := k.told()
	seen := map[string]bool{}
	for _, f := range files {
		if seen[f.Path] {
			return nil, fmt.Errorf("file %s was told of twice", f.Path)
		}
		seen[f.Path] = true
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) || strings.Contains(f.Path, `\`) || unfinished(f.Path) {
			return nil, fmt.Errorf("file %q was told of: a path below the directory, with slashes, not beginning with a dot nor ending in .part or .tmp is due", f.Path)
		}
		text, err := os.ReadFile(filepath.Join(k.dir, f.Path))
		if err != nil {
			return nil, fmt.Errorf("a file that was told of: %w", err)
		}
		if sum := sha256.Sum256(text); int64(len(text)) != f.Size || !bytes.Equal(sum[:], f.Sha256) {
			return nil, fmt.Errorf("file %s has %d bytes with SHA-256 %x, it was told of as %d bytes with %x", f.Path, len(text), sum[:6], f.Size, f.Sha256[:min(6, len(f.Sha256))])
		}
	}
	return seen, nil
}

func unfinished(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, ".") || strings.HasSuffix(base, ".part") || strings.HasSuffix(base, ".tmp")
}

// allKept checks that the sink has kept what it promises to keep.
func (k *sink) allKept() (string, error) {
	files, _ := k.told()
	switch k.suite.Offer.Keeps {
	case sdk.NoTags:
		return fmt.Sprintf("%d files, and no tags, as it says", len(files)), nil
	case sdk.Elsewhere:
		for id, s := range k.sent {
			if got := k.events.kept[uint32(id)]; got != uint64(len(s.tags)) {
				return "", fmt.Errorf("stream %d: it says that it has kept %d tags, it was sent %d", id, got, len(s.tags))
			}
		}
		return "kept elsewhere", nil
	}
	var total int
	for id, s := range k.sent {
		tags, lost, err := k.read(files, uint32(id))
		if err != nil {
			return "", err
		}
		if !slices.Equal(tags, s.tags) || lost != s.lost {
			return "", fmt.Errorf("stream %d: its files hold %d tags with %d lost, it was sent %d tags with %d lost, or the times differ", id, len(tags), lost, len(s.tags), s.lost)
		}
		total += len(tags)
	}
	return fmt.Sprintf("%d tags in %d files, each as it was sent", total, len(files)), nil
}

// read reads back the tags of one stream, in the order of its segments.
func (k *sink) read(files []*pluginpb.Artifact, stream uint32) (tags []uint64, lost uint64, err error) {
	var own []*pluginpb.Artifact
	for _, f := range files {
		if isTags(f) && f.Stream == stream {
			own = append(own, f)
		}
	}
	slices.SortFunc(own, func(a, b *pluginpb.Artifact) int { return int(a.Segment) - int(b.Segment) })
	for i, f := range own {
		if int(f.Segment) != i {
			return nil, 0, fmt.Errorf("stream %d: segment %d is missing or there twice", stream, i)
		}
		got, err := readFile(filepath.Join(k.dir, f.Path))
		if err != nil {
			return nil, 0, err
		}
		if uint64(len(got)) != f.Tags || len(got) > 0 && (got[0] != f.FirstPs || got[len(got)-1] != f.LastPs) {
			return nil, 0, fmt.Errorf("file %s holds %d tags, it was told of with %d from %d to %d ps", f.Path, len(got), f.Tags, f.FirstPs, f.LastPs)
		}
		if f.Lost > math.MaxUint64-lost {
			return nil, 0, fmt.Errorf("stream %d: its files tell of more lost tags than a number holds: %d before %s, and %d in it", stream, lost, f.Path, f.Lost)
		}
		tags, lost = append(tags, got...), lost+f.Lost
	}
	return tags, lost, nil
}

func isTags(f *pluginpb.Artifact) bool {
	switch f.Kind {
	case pluginpb.ArtifactKind_ARTIFACT_KIND_TAGS:
		return true
	case pluginpb.ArtifactKind_ARTIFACT_KIND_UNSAID:
		return slices.Contains([]string{".bin", ".csv", ".tags", ".txt"}, path.Ext(f.Path))
	}
	return false
}

func readFile(name string) ([]uint64, error) {
	in, _, err := tagfile.Open(name, "", tagfile.OnlyChannel)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var tags []uint64
	for buf := make([]uint64, 4096); ; {
		n, err := in.Next(buf)
		tags = append(tags, buf[:n]...)
		if err == io.EOF {
			return tags, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read back %s: %w", name, err)
		}
	}
}
