// Usage: node load_three.mjs FILE.glb -> what three.js's GLTFLoader makes of it, as JSON on standard output.
import fs from "fs";

// What a browser has and node has not; the textures are decoded by the browser, so here they are only counted.
globalThis.self = globalThis;
globalThis.ProgressEvent ??= class {};
globalThis.createImageBitmap = async (blob) => ({ width: 1, height: 1, bytes: blob.size, close() {} });

const { Box3 } = await import("three");
const { GLTFLoader } = await import("three/examples/jsm/loaders/GLTFLoader.js");

const file = fs.readFileSync(process.argv[2]);
const bytes = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
const { scene } = await new GLTFLoader().parseAsync(bytes, "");
const meshes = [];
scene.traverse((node) => {
  if (!node.isMesh) return;
  meshes.push({
    node: node.parent.type === "Group" && node.parent.name ? node.parent.name : node.name,
    triangles: node.geometry.index.count / 3,
    targets: Object.keys(node.morphTargetDictionary ?? {}),
    weights: node.morphTargetInfluences ?? [],
    normals: Boolean(node.geometry.attributes.normal),
    texture: node.material.map?.image?.bytes ?? 0,
  });
});
const box = new Box3().setFromObject(scene);
process.stdout.write(JSON.stringify({ meshes, low: box.min.toArray(), high: box.max.toArray() }));
