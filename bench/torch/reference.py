"""
LoRA steps of a causal language model with torch, transformers and peft: the reference that OwnKey's trainer is compared with.

Commands come as JSON lines on stdin, and each is answered by one line on stdout. The model's files are flat F32 with an index, so that no
file is mapped into memory and counted.
"""

import json
import sys

import numpy
import torch
import transformers
from peft import LoraConfig, get_peft_model

ATTENTION = {"attn_q": "q_proj", "attn_k": "k_proj", "attn_v": "v_proj", "attn_qkv": "qkv_proj", "attn_output": "o_proj"}
HEAD_NORMS = {"attn_q_norm": "q_norm", "attn_k_norm": "k_norm"}
FORWARD = {"ffn_gate": "gate_proj", "ffn_up": "up_proj", "ffn_down": "down_proj"}
NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
# Gemma 2 and 3 norm what attention and the feed-forward network give, too.
FOUR_NORMS = {
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
# Configurations that are not named after their model.
CONFIGS = {"Gemma3": "Gemma3Text"}
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
BETAS, EPSILON, CLIP = (0.9, 0.99), 1e-8, 1.0


def peak_bytes():
    """The most memory that this process ever had resident (VmHWM)."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


class Reference:
    def __init__(self, command):
        # JSON has 3.0 as 3, which transformers refuses there.
        self.config = {key: float(value) if key.endswith("softcapping") else value for key, value in command["config"].items()}
        self.permutes = command["permutes"]
        self.head = command["head"]
        self.kind = kind = command["kind"]
        settings = getattr(transformers, f"{CONFIGS.get(kind, kind)}Config")(**self.config)
        model = getattr(transformers, f"{kind}ForCausalLM")(settings).float()
        self.load_base(model, command["model"])
        rank, alpha = command["rank"], command["alpha"]
        targets = [*ATTENTION.values(), *FORWARD.values(), "gate_up_proj"]
        lora = LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM")
        self.model = get_peft_model(model, lora)
        self.model.train()
        self.adapter = self.load_adapter(command["adapter"])
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if len(trained) != len(self.adapter):
            raise ValueError("the adapter does not have all of the parameters that are trained")
        self.optimizer = torch.optim.AdamW(trained, lr=0.0, betas=BETAS, eps=EPSILON, weight_decay=0.0)

    def module_of(self, name):
        """The name in transformers of a GGUF tensor without its `.weight` or `.bias`."""
        if name in WHOLE:
            return WHOLE[name]
        _, layer, part = name.split(".")
        norms = FOUR_NORMS if self.kind in ("Gemma2", "Gemma3") else NORMS
        forward = {"ffn_up": "gate_up_proj", "ffn_down": "down_proj"} if self.kind == "Phi3" else FORWARD
        for group, names in (("self_attn.", ATTENTION), ("self_attn.", HEAD_NORMS), ("mlp.", forward), ("", norms)):
            if part in names:
                return f"model.layers.{layer}.{group}{names[part]}"
        raise ValueError(f"unknown tensor {name}")

    def order(self, name, rows, back):
        """
        Rows of the queries and keys of the GGUF architecture llama are in another order, since it rotates neighbours and transformers
        rotates halves. `back` goes from transformers to GGUF.
        """
        part = name.split(".")[2] if name.startswith("blk.") else ""
        if not self.permutes or part not in ("attn_q", "attn_k"):
            return rows
        heads = self.config["num_attention_heads" if part == "attn_q" else "num_key_value_heads"]
        shape = (heads, 2, -1) if back else (heads, -1, 2)
        return rows.reshape(*shape, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)

    def tensors(self, file):
        for name, (columns, rows), offset in file["tensors"]:
            values = numpy.fromfile(file["path"], "<f4", columns * rows, offset=offset)
            yield name, torch.from_numpy(values).reshape(columns if rows == 1 else (rows, columns))

    @torch.no_grad()
    def load_base(self, model, file):
        wanted = dict(model.named_parameters())
        for name, values in self.tensors(file):
            if name == "rope_freqs.weight":
                continue
            base, kind = name.rsplit(".", 1)
            place = wanted.pop(f"{self.module_of(base)}.{kind}")
            # transformers multiplies by 1 + weight in Gemma's norms, and GGUF has the sum.
            if self.kind.startswith("Gemma") and base.endswith("norm"):
                values = values - 1
            place.copy_(self.order(name, values, back=False) if values.dim() == 2 else values)
        if wanted:
            raise ValueError(f"the file lacks {', '.join(wanted)}")

    @torch.no_grad()
    def load_adapter(self, file):
        """Sets A and B, and returns them by their GGUF names."""
        places, found = dict(self.model.named_parameters()), {}
        for name, values in self.tensors(file):
            base, part = name.removesuffix(".lora_a").removesuffix(".lora_b"), name[-1].upper()
            place = places[f"base_model.model.{self.module_of(base.removesuffix('.weight'))}.lora_{part}.default.weight"]
            place.copy_(self.order(base, values, back=False) if part == "B" else values)
            found[name] = place
        return found

    def batch(self, sequences):
        """Right-padded to the longest. Only the positions after `rows` have labels."""
        size = (len(sequences), max(len(sequence["ids"]) for sequence in sequences))
        ids, mask = torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
        labels = torch.full(size, -100)
        for at, sequence in enumerate(sequences):
            values = torch.tensor(sequence["ids"])
            ids[at, : len(values)], mask[at, : len(values)] = values, 1
            learned = torch.tensor(sequence["rows"]) + 1
            labels[at, learned] = values[learned]
        return ids, mask, labels

    def loss(self, ids, mask, labels):
        if self.head == "all":
            return self.model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss
        # The head on the learned positions alone, as OwnKey's trainer has it.
        inner = self.model.base_model.model
        hidden = inner.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[:, :-1]
        learned = labels[:, 1:] != -100
        return torch.nn.functional.cross_entropy(inner.lm_head(hidden[learned]), labels[:, 1:][learned])

    def step(self, command):
        self.optimizer.zero_grad()
        loss = self.loss(*self.batch(command["sequences"]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.adapter.values()), CLIP)
        for group in self.optimizer.param_groups:
            group["lr"] = command["rate"]
        self.optimizer.step()
        return {"loss": loss.item(), "peakBytes": peak_bytes()}

    def write(self, command):
        """The optimizer's first moments (`means`), or the weights, in the order and layout of the adapter's file."""
        with open(command["path"], "wb") as file:
            for name, place in self.adapter.items():
                values = self.optimizer.state[place]["exp_avg"] if command["what"] == "means" else place.detach()
                base = name.removesuffix(".lora_a").removesuffix(".lora_b")
                values = self.order(base, values, back=True) if name.endswith("b") else values
                file.write(values.contiguous().numpy().tobytes())
        return {}


def serve():
    answers, sys.stdout = sys.stdout, sys.stderr
    reference = None
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "load":
            torch.set_num_threads(command["threads"])
            before = peak_bytes()
            reference = Reference(command)
            versions = {"torch": torch.__version__, "transformers": transformers.__version__}
            answer = {"importedBytes": before, "peakBytes": peak_bytes(), "versions": versions}
        else:
            answer = getattr(reference, {"step": "step", "write": "write"}[command["do"]])(command)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve()
