import numpy as np
from safetensors.numpy import save_file
r=np.random.default_rng(7)
a=r.standard_normal(300).astype('f4'); b=r.integers(0,255,40).astype('u1'); c=r.standard_normal(1200).astype('f2')
save_file({"a":a,"b":b,"c":c},"base.safetensors")
a[[3,4,200]]+=1; c[::700]+=1; b[10:20]+=1
save_file({"a":a,"b":b,"c":c},"tuned.safetensors")
