(module
  (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "forged\n\1b[31mred")
  (func (export "__guest_call") (param i32 i32) (result i32)
    (loop
      (drop (call $call (i32.const 0) (i32.const 7) (i32.const 0) (i32.const 6) (i32.const 7) (i32.const 8) (i32.const 0) (i32.const 65536)))
      (br 0))
    (i32.const 0)))
