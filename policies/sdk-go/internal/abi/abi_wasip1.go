// Package abi is the canonical ABI of the component model as Go guests need it: texts and lists that cross, memory
// for what the host passes, and clocks that stand still while it does.
package abi

import (
	"unsafe"
)

// Text is a string, or a list of bytes, where it lies in memory.
type Text struct{ Data, Length uint32 }

// List is a list of anything.
type List struct{ Data, Length uint32 }

// Bytes are not copied: what the host passed is never written again.
func (t Text) Bytes() []byte {
	if t.Length == 0 {
		return []byte{}
	}
	return unsafe.Slice((*byte)(pointer(t.Data)), t.Length)
}

func (t Text) String() string {
	if t.Length == 0 {
		return ""
	}
	return unsafe.String((*byte)(pointer(t.Data)), t.Length)
}

// Take gives the items of a list.
func Take[T any](l List) []T {
	if l.Length == 0 {
		return nil
	}
	return unsafe.Slice((*T)(pointer(l.Data)), l.Length)
}

// Strings gives a list of strings.
func Strings(l List) []string {
	items := Take[Text](l)
	all := make([]string, len(items))
	for i, item := range items {
		all[i] = item.String()
	}
	return all
}

// pointer makes one of what the host passed. All of that memory came from cabi_realloc, where it is kept until [Taken].
func pointer(address uint32) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&struct{ low, high uint32 }{low: address}))
}

// passed is what the host has yet to read of the last answer.
var passed []unsafe.Pointer

func keep(p unsafe.Pointer) uint32 {
	passed = append(passed, p)
	return uint32(uintptr(p))
}

// Pass gives the host a string to read.
func Pass(text string) Text {
	if text == "" {
		return Text{Data: 1}
	}
	return Text{keep(unsafe.Pointer(unsafe.StringData(text))), uint32(len(text))}
}

// PassList gives the host a list to read.
func PassList[T any](items []T) List {
	if len(items) == 0 {
		return List{Data: 8}
	}
	return List{keep(unsafe.Pointer(unsafe.SliceData(items))), uint32(len(items))}
}

// PassStrings gives the host a list of strings to read.
func PassStrings(texts []string) List {
	items := make([]Text, len(texts))
	for i, text := range texts {
		items[i] = Pass(text)
	}
	return PassList(items)
}

// result is a result whose other case is not larger than the rest.
type result[T any] struct {
	isError uint8
	value   T
	_       [64]byte
}

// Answer is the good case of a result. T must be aligned to four bytes, as must be all of it.
func Answer[T any](value T) unsafe.Pointer {
	p := unsafe.Pointer(&result[T]{value: value})
	keep(p)
	return p
}

// Ok is the good case of a result that carries nothing then.
func Ok[E any]() unsafe.Pointer {
	var nothing E
	return Answer(nothing)
}

// Fail is the bad case of a result.
func Fail[E any](reason E) unsafe.Pointer {
	p := unsafe.Pointer(&result[E]{isError: 1, value: reason})
	keep(p)
	return p
}

// Option is an option. T must be aligned to four bytes.
type Option[T any] struct {
	Some  uint8
	Value T
}

//go:wasmimport wasi_snapshot_preview1 verdict_run_clocks
func runClocks(run uint32) uint32

// PauseClocks stops them while the host may call cabi_realloc, where nothing else of the host can be called; the Go
// runtime may look at them there. Gives what [Resume] takes.
func PauseClocks() uint32 { return runClocks(0) }

// Resume undoes [PauseClocks].
func Resume(was uint32) { runClocks(was) }

// Enter begins an exported function and gives what ends it. Between, clocks run.
func Enter() func() {
	runClocks(1)
	clear(passed)
	passed = passed[:0]
	return leave
}

func leave() {
	// Now, since the next arguments arrive where nothing else can be done. What is taken is never given again: an author
	// may have kept strings that lie there.
	if used > len(chunk)/2 {
		chunk, used = make([]byte, chunkSize), 0
	}
	runClocks(0)
}

const chunkSize = 64 << 10

var (
	// Words, for their alignment.
	first [chunkSize / 8]uint64
	// chunk is where small arguments go, so that taking them neither collects garbage nor fills the heap.
	chunk = unsafe.Slice((*byte)(unsafe.Pointer(&first)), chunkSize)
	used  int
	// large arguments have memory of their own, kept here until they are Go values.
	large [][]byte
)

// Taken tells that all arguments are Go values, which keep their memory alive themselves.
func Taken() {
	clear(large)
	large = large[:0]
}

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	was := runClocks(0)
	defer runClocks(was)
	if size == 0 {
		return pointer(align)
	}
	p := allocate(int(size), int(align))
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(p), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return p
}

func allocate(size, align int) unsafe.Pointer {
	// The chunk itself is aligned to more than eight.
	begin := (used + align - 1) &^ (align - 1)
	if begin+size <= len(chunk) {
		used = begin + size
		return unsafe.Pointer(&chunk[begin])
	}
	// Memory of the heap is aligned to eight from that size on.
	bytes := make([]byte, max(size, 8))
	large = append(large, bytes)
	return unsafe.Pointer(&bytes[0])
}
