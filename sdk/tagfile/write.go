package tagfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// encoder makes the bytes of one file out of tags in order of time.
type encoder interface {
	// heading is what the file begins with. At the end of the file it may have
	// become another of the same length, which then takes its place.
	heading() []byte
	// append appends the bytes of tags of one channel, which follow all
	// before in time. It may hold some back.
	append(dst []byte, channel int, tags []uint64) ([]byte, error)
	// finish appends what is left and what ends the file.
	finish(dst []byte) ([]byte, error)
}

// shifted is an encoder of a format whose counter wraps, so that every time
// comes back less by the same.
type shifted interface{ shift() uint64 }

// signed is an encoder of a format that holds times below 0, which come in two's
// complement.
type signed interface {
	appendBelow(dst []byte, channel int, t uint64) ([]byte, error)
}

// gathering is an encoder of a format that can only be written once all tags are
// known. It makes no bytes before.
type gathering interface {
	writeTo(w io.Writer) error
	release() error // what waited, in any case
}

// signedFormats are the formats that hold times below 0.
func signedFormats() (names []string) {
	for _, ft := range registry() {
		if ft.signed {
			names = append(names, ft.Name)
		}
	}
	return names
}

// rounding is an encoder of a format with steps other than 1 ps: so many times
// became the nearest.
type rounding interface{ rounded() uint64 }

// encoding is what an encoder may want to know before the first tag.
type encoding struct {
	oneChannel bool       // all tags are of one channel
	about      Provenance // where they are from
	dir        string     // where tags may wait; "": where temporary files are
}

// Encoder makes the bytes of a file of one channel; for callers who own the
// file. The bytes of a file are those of [Encoder.Heading], then of every
// [Encoder.Append], then of [Encoder.Finish]; an Encoder makes one file.
type Encoder struct {
	format  string
	channel int
	encoder encoder
}

// Streamed returns the formats that an [Encoder] makes: those whose beginning
// does not depend on what follows. Segments are of these.
func Streamed() []string { return []string{Bin, Txt, Csv, Tags} }

// NewEncoder returns an encoder for one of the formats [Bin], [Txt], [Csv] and
// [Tags]. The channel is the number that the file gives each tag, from 0 to 65535.
func NewEncoder(format string, channel int) (*Encoder, error) {
	if err := checkChannel(channel, 0, maxChannel); err != nil {
		return nil, fmt.Errorf("encode tags: %w", err)
	}
	for _, name := range Streamed() {
		if format == name {
			ft, _ := find(name)
			e, err := ft.encoder(encoding{oneChannel: true})
			return &Encoder{format, channel, e}, err
		}
	}
	return nil, fmt.Errorf("encode tags: cannot write format %q piece by piece; these can be: %s", format, list(Streamed()))
}

// Format returns the name of the format, which is also how its files end.
func (e *Encoder) Format() string { return e.format }

// Heading returns what the file begins with, before any tag.
func (e *Encoder) Heading() []byte { return e.encoder.heading() }

// Append appends the bytes of tags to dst. Tags are in order of time and follow
// those before; some may be kept for the next call.
func (e *Encoder) Append(dst []byte, tags []uint64) ([]byte, error) {
	return e.encoder.append(dst, e.channel, tags)
}

// Finish appends what is left and what ends the file.
func (e *Encoder) Finish(dst []byte) ([]byte, error) { return e.encoder.finish(dst) }

// WriteFile writes tags of one channel to a new file of any format that can be
// written, named or told by the path. It replaces
// no file, and leaves none when it fails. The channel is ignored by formats
// that hold none.
func WriteFile(path, format string, channel int, tags []uint64) error {
	ft, err := formatToWrite(path, format)
	if err != nil {
		return err
	}
	e, err := ft.encoder(encoding{oneChannel: true, dir: filepath.Dir(path)})
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	out, err := create(path, false)
	if err != nil {
		return err
	}
	w := newWriter(out, e)
	const piece = 1 << 15
	for len(tags) > 0 && err == nil {
		n := min(piece, len(tags))
		err = w.write(channel, tags[:n])
		tags = tags[n:]
	}
	return w.close(err)
}

// writer brings the bytes of an encoder into a file.
type writer struct {
	out     *output
	encoder encoder
	buf     []byte
	started bool
}

func newWriter(out *output, e encoder) *writer { return &writer{out: out, encoder: e} }

// write writes tags of one channel, which follow all before in time.
func (w *writer) write(channel int, tags []uint64) (err error) {
	if !w.started {
		w.started = true
		w.buf = append(w.buf, w.encoder.heading()...)
	}
	if w.buf, err = w.encoder.append(w.buf, channel, tags); err != nil {
		return fmt.Errorf("write %s: %w", w.out.path, err)
	}
	if len(w.buf) < ioBuffer {
		return nil
	}
	return w.flush()
}

// writeBelow writes a tag before 0. The channel is one that write has checked, or
// checks now.
func (w *writer) writeBelow(e signed, channel int, t uint64) error {
	if err := w.write(channel, nil); err != nil {
		return err
	}
	var err error
	if w.buf, err = e.appendBelow(w.buf, channel, t); err != nil {
		return fmt.Errorf("write %s: %w", w.out.path, err)
	}
	return nil
}

func (w *writer) flush() error {
	_, err := w.out.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// close ends the file and gives it its name, or removes it when err says that
// something went wrong before.
func (w *writer) close(err error) error {
	if err == nil && !w.started {
		err = w.write(0, nil)
	}
	if err == nil {
		if w.buf, err = w.encoder.finish(w.buf); err != nil {
			err = fmt.Errorf("write %s: %w", w.out.path, err)
		}
	}
	if err == nil {
		err = w.flush()
	}
	if err == nil {
		err = w.out.patch(w.encoder.heading())
	}
	if e, ok := w.encoder.(gathering); ok {
		if err == nil {
			err = e.writeTo(w.out)
		}
		err = errors.Join(err, e.release())
	}
	return w.out.close(err)
}

// oneChannel sees to it that all tags of a file without channel numbers are of
// one channel.
type oneChannel struct {
	format  string
	channel int
	any     bool
}

func (o *oneChannel) check(channel int) error {
	if o.any && channel != o.channel {
		return fmt.Errorf("format %s holds one channel, here are %d and %d; choose one", o.format, o.channel, channel)
	}
	o.channel, o.any = channel, true
	return nil
}

// checkChannel checks that a format can hold a channel.
func checkChannel(channel, least, most int) error {
	if channel < least || channel > most {
		return fmt.Errorf("channel %d is not between %d and %d, the channels of this format", channel, least, most)
	}
	return nil
}

// rewrap is the opposite of [unwrap]: times as a counter shows that begins
// again from 0 after each period.
type rewrap struct {
	period uint64
	window uint64
	latest uint64
	first  uint64
	any    bool
}

// at returns what the counter shows. A pause in which the counter could wrap
// unseen is an error.
func (w *rewrap) at(ticks uint64) (counter uint64, err error) {
	if !w.any {
		w.first, w.any = ticks, true
	} else if pause := ticks - w.latest; pause >= w.period-w.window {
		return 0, fmt.Errorf("between two tags, %d and %d ticks, there are more than the %d its counter can tell; choose another format, or less of the file",
			w.latest, ticks, w.period-w.window-1)
	}
	w.latest = ticks
	return ticks % w.period, nil
}

// shift is how much less every time is when it is read back, in ticks.
func (w *rewrap) shift() uint64 { return w.first - w.first%w.period }

// output is a file that gets its name when it is whole. Until then it lies
// beside it as .NAME.part; what a failure leaves is removed.
type output struct {
	path    string
	file    *os.File
	size    int64
	replace bool
	to      io.Writer // what takes the file instead of a name, when there is one
}

// create begins a file. Unless it may replace one, there must be none yet.
func create(path string, replace bool) (*output, error) {
	o := &output{path: path, replace: replace}
	if err := o.free(); err != nil {
		return nil, err
	}
	part := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".part")
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("write %s: %s is in the way: another program is writing this file, or one was killed; remove it if none is", path, part)
	}
	if err != nil {
		return nil, o.failed(err)
	}
	o.file = f
	return o, nil
}

// createSpool begins a file without a name, whose bytes to takes when it is whole.
func createSpool(name string, to io.Writer) (*output, error) {
	o := &output{path: name, to: to}
	f, err := spool("", "tsrun-output-*")
	if err != nil {
		return nil, o.failed(err)
	}
	o.file = f
	return o, nil
}

// spool opens a temporary file that is gone when it is closed.
func spool(dir, pattern string) (*os.File, error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// free says whether the name may be taken.
func (o *output) free() error {
	st, err := os.Lstat(o.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return o.failed(err)
	case !st.Mode().IsRegular():
		return fmt.Errorf("write %s: it is %s, not a regular file, and is left as it is; write a file, or %s for standard output", o.path, KindOf(st.Mode()), StandardInput)
	case !o.replace:
		return fmt.Errorf("write %s: %w; nothing there was changed; --force replaces it", o.path, fs.ErrExist)
	}
	return nil
}

// KindOf names what is no regular file.
func KindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "a socket or the like"
}

func (o *output) failed(err error) error {
	var named *os.PathError
	if errors.As(err, &named) {
		err = named.Err
	}
	return fmt.Errorf("write %s: %w", o.path, err)
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.file.Write(b)
	o.size += int64(n)
	if err != nil {
		return n, o.failed(err)
	}
	return n, nil
}

// patch replaces the beginning of the file.
func (o *output) patch(heading []byte) error {
	if len(heading) == 0 {
		return nil
	}
	if _, err := o.file.WriteAt(heading, 0); err != nil {
		return o.failed(err)
	}
	return nil
}

// close makes the file durable and gives it its name. When err tells of an
// earlier failure, or anything fails, no file is left.
func (o *output) close(err error) error {
	if o.to != nil {
		return o.pass(err)
	}
	if err == nil {
		if err = o.file.Sync(); err != nil {
			err = o.failed(err)
		}
	}
	if closing := o.file.Close(); err == nil && closing != nil {
		err = o.failed(closing)
	}
	if err == nil {
		err = o.free()
	}
	if err == nil {
		if err = os.Rename(o.file.Name(), o.path); err != nil {
			err = o.failed(err)
		}
	}
	if err != nil {
		return errors.Join(err, os.Remove(o.file.Name()))
	}
	return nil
}

// pass gives the bytes of a spooled file to who takes them, and closes it.
func (o *output) pass(err error) error {
	if err == nil {
		_, err = o.file.Seek(0, io.SeekStart)
	}
	if err == nil {
		_, err = io.Copy(o.to, o.file)
	}
	if err != nil {
		err = fmt.Errorf("write %s: %w", o.path, err)
	}
	return errors.Join(err, o.file.Close())
}
