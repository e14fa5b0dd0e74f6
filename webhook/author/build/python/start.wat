;; A library that is linked into the component beside CPython. What CPython has in memory after the imports becomes the
;; component: so that the same sources give the same bytes on every machine, nothing of the machine may stay there.
;;
;; Its constructor runs before CPython starts:
;; - The seed of hashes comes from the environment, and the tool gives CPython no other.
;; - CPython begins with modules from a zip, whose order is its own: folders are listed in the order of the file system, and
;;   where things lie in memory would depend on it. first.py goes on in the same way.
;; - Neither `site`, which looks at folders, nor compiled modules beside the sources, which would change them.
;; - Memory is given to CPython zeroed, whole blocks. Times and numbers of files stand in memory that was given back, and what
;;   does not fill its block would keep them.
;; `end`, at the end of the imports, takes and zeroes whatever is free, and leaves CPython to the allocators it had.
(module
  (@dylink.0 (mem-info (memory 512 4) (table 5 0)))
  (import "env" "memory" (memory 0))
  (import "env" "__indirect_function_table" (table 0 funcref))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "__table_base" (global $table i32))
  (import "GOT.mem" "__stack_chk_guard" (global $stack_guard (mut i32)))
  (import "GOT.mem" "Py_NoSiteFlag" (global $no_site (mut i32)))
  (import "GOT.mem" "Py_DontWriteBytecodeFlag" (global $no_compiled (mut i32)))
  (import "GOT.mem" "_Py_NoneStruct" (global $none (mut i32)))
  (import "env" "setenv" (func $setenv (param i32 i32 i32) (result i32)))
  (import "env" "malloc" (func $malloc (param i32) (result i32)))
  (import "env" "malloc_usable_size" (func $size_of (param i32) (result i32)))
  (import "env" "free" (func $free (param i32)))
  (import "env" "PyModuleDef_Init" (func $module (param i32) (result i32)))
  (import "env" "PyMem_GetAllocator" (func $get_allocator (param i32 i32)))
  (import "env" "PyMem_SetAllocator" (func $set_allocator (param i32 i32)))

  ;; Texts: names and values of variables, name of the module at 96 and of its function at 112.
  (data (global.get $base) "PYTHONHASHSEED\00SEED\00")
  (data (i32.add (global.get $base) (i32.const 32)) "PYTHONPATH\00")
  (data (i32.add (global.get $base) (i32.const 48)) "/0/start.zip:/world:/bundled\00")
  (data (i32.add (global.get $base) (i32.const 96)) "verdict_start\00")
  (data (i32.add (global.get $base) (i32.const 112)) "end\00")
  ;; 128: the allocator of ours (20 bytes). 148: those before, of three domains (60).
  ;; 208: PyModuleDef (52), its name at 228, its methods at 240. 260: the methods, one and a zero (32).
  (elem (global.get $table) func $py_malloc $py_calloc $py_realloc $py_free $end)

  (func $at (param $offset i32) (result i32)
    (i32.add (global.get $base) (local.get $offset)))

  ;; The allocator of ours, as PyMemAllocatorEx has it: the first parameter is its context.
  (func $py_malloc (param i32) (param $size i32) (result i32)
    (local $block i32)
    ;; Of nothing CPython wants a block too.
    (local.set $block (call $malloc (select (local.get $size) (i32.const 1) (local.get $size))))
    (if (local.get $block) (then
      (memory.fill (local.get $block) (i32.const 0) (call $size_of (local.get $block)))))
    (local.get $block))
  ;; CPython looks for overflows before.
  (func $py_calloc (param i32) (param $count i32) (param $size i32) (result i32)
    (call $py_malloc (i32.const 0) (i32.mul (local.get $count) (local.get $size))))
  (func $py_realloc (param i32) (param $old i32) (param $size i32) (result i32)
    (local $new i32) (local $had i32)
    (local.set $new (call $py_malloc (i32.const 0) (local.get $size)))
    (if (i32.and (i32.ne (local.get $new) (i32.const 0)) (i32.ne (local.get $old) (i32.const 0))) (then
      (local.set $had (call $size_of (local.get $old)))
      (memory.copy (local.get $new) (local.get $old)
        (select (local.get $had) (local.get $size) (i32.lt_u (local.get $had) (local.get $size))))
      (call $free (local.get $old))))
    (local.get $new))
  (func $py_free (param i32) (param $block i32)
    (call $free (local.get $block)))

  (func (export "__wasm_call_ctors")
    (local $ours i32) (local $domain i32) (local $before i32)
    (drop (call $setenv (global.get $base) (call $at (i32.const 15)) (i32.const 1)))
    (drop (call $setenv (call $at (i32.const 32)) (call $at (i32.const 48)) (i32.const 1)))
    (i32.store (global.get $no_site) (i32.const 1))
    (i32.store (global.get $no_compiled) (i32.const 1))
    ;; libc drew it from random numbers, for what every review has alike.
    (i32.store (global.get $stack_guard) (i32.const 0x5eed5eed))
    (local.set $ours (call $at (i32.const 128)))
    (i32.store offset=4 (local.get $ours) (global.get $table))
    (i32.store offset=8 (local.get $ours) (i32.add (global.get $table) (i32.const 1)))
    (i32.store offset=12 (local.get $ours) (i32.add (global.get $table) (i32.const 2)))
    (i32.store offset=16 (local.get $ours) (i32.add (global.get $table) (i32.const 3)))
    (local.set $before (call $at (i32.const 148)))
    (loop $each
      (call $get_allocator (local.get $domain) (local.get $before))
      (call $set_allocator (local.get $domain) (local.get $ours))
      (local.set $before (i32.add (local.get $before) (i32.const 20)))
      (local.set $domain (i32.add (local.get $domain) (i32.const 1)))
      (br_if $each (i32.lt_u (local.get $domain) (i32.const 3)))))

  ;; What CPython calls when it imports the library as a module.
  (func (export "PyInit_verdict_start") (result i32)
    (i32.store (call $at (i32.const 260)) (call $at (i32.const 112)))
    (i32.store (call $at (i32.const 264)) (i32.add (global.get $table) (i32.const 4)))
    ;; METH_NOARGS
    (i32.store (call $at (i32.const 268)) (i32.const 4))
    (i32.store (call $at (i32.const 228)) (call $at (i32.const 96)))
    (i32.store (call $at (i32.const 240)) (call $at (i32.const 260)))
    (call $module (call $at (i32.const 208))))

  (func $end (param i32 i32) (result i32)
    (local $top i32) (local $size i32) (local $list i32) (local $block i32) (local $beyond i32)
    (local $domain i32) (local $before i32)
    ;; Every free block below the end of the memory is taken: large ones first, in pieces, then what is smaller. Three blocks
    ;; beyond that end say that there are none of a size.
    (local.set $top (i32.shl (memory.size) (i32.const 16)))
    (local.set $size (i32.const 65536))
    (loop $sizes
      (local.set $beyond (i32.const 0))
      (loop $again
        ;; Four bytes of a block are the allocator's own.
        (local.set $block (call $malloc (i32.sub (local.get $size) (i32.const 4))))
        (if (local.get $block) (then
          (memory.fill (local.get $block) (i32.const 0) (call $size_of (local.get $block)))
          (i32.store (local.get $block) (local.get $list))
          (local.set $list (local.get $block))
          (local.set $beyond (i32.add (local.get $beyond) (i32.ge_u (local.get $block) (local.get $top))))
          (br_if $again (i32.lt_u (local.get $beyond) (i32.const 3))))))
      (local.set $size (i32.shr_u (local.get $size) (i32.const 1)))
      (br_if $sizes (i32.ge_u (local.get $size) (i32.const 16))))
    (loop $give_back
      (if (local.get $list) (then
        (local.set $block (local.get $list))
        (local.set $list (i32.load (local.get $block)))
        (i32.store (local.get $block) (i32.const 0))
        (call $free (local.get $block))
        (br $give_back))))
    (local.set $before (call $at (i32.const 148)))
    (loop $each
      (call $set_allocator (local.get $domain) (local.get $before))
      (local.set $before (i32.add (local.get $before) (i32.const 20)))
      (local.set $domain (i32.add (local.get $domain) (i32.const 1)))
      (br_if $each (i32.lt_u (local.get $domain) (i32.const 3))))
    (global.get $none)))
