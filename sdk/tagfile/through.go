package tagfile

import (
	"fmt"
	"io"
	"os"
)

// Through is a format that another program writes. It is given all tags at once, in
// a file of format tags without a name.
type Through struct {
	Format string
	Write  func(tags *os.File, about Provenance, oneChannel bool, to io.Writer) error
}

// throughEncoder gathers tags for another program.
type throughEncoder struct {
	with  *Through
	of    encoding
	tags  encoder
	spool *os.File
	buf   []byte
}

func (t *Through) encoder(o encoding) (encoder, error) {
	tags, err := newTagsEncoder(o)
	if err != nil {
		return nil, err
	}
	e := &throughEncoder{with: t, of: o, tags: tags}
	e.buf = append(e.buf, tags.heading()...)
	e.spool, err = spool(o.dir, "tsrun-tags-*")
	return e, err
}

func (e *throughEncoder) heading() []byte { return nil }

func (e *throughEncoder) append(dst []byte, channel int, tags []uint64) (_ []byte, err error) {
	if e.buf, err = e.tags.append(e.buf, channel, tags); err == nil && len(e.buf) >= ioBuffer {
		err = e.flush()
	}
	return dst, err
}

func (e *throughEncoder) flush() error {
	_, err := e.spool.Write(e.buf)
	e.buf = e.buf[:0]
	if err != nil {
		return fmt.Errorf("keep the tags until all are known: %w", err)
	}
	return nil
}

func (e *throughEncoder) finish(dst []byte) (_ []byte, err error) {
	if e.buf, err = e.tags.finish(e.buf); err == nil {
		err = e.flush()
	}
	return dst, err
}

func (e *throughEncoder) writeTo(w io.Writer) error {
	if _, err := e.spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return e.with.Write(e.spool, e.of.about, e.of.oneChannel, w)
}

func (e *throughEncoder) release() error { return e.spool.Close() }
